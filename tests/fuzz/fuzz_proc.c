/* Files of /proc/PID, in which processes and containers write names of their choice. */
#include <stdlib.h>
#include <string.h>

#include "fuzz.h"
#include "runtime/proc_text.h"
#include "util/strbuf.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        auto_strbuf struct strbuf text = STRBUF_INIT;
        auto_free char *source = NULL;
        struct proc_stat stat;
        unsigned long number;

        if (strbuf_append_mem(&text, data, size) < 0)
                return 0;
        if (proc_stat_parse(strbuf_text(&text), &stat) && strlen(stat.comm) >= PROC_COMM_SIZE)
                abort();
        source = proc_root_source(strbuf_text(&text));
        (void)proc_status_number(strbuf_text(&text), "Umask", 8, &number);
        return 0;
}
