#include "commands/helper_environment.h"

#include <fcntl.h>

#include "env/env.h"
#include "util/io.h"

int helper_environment(int fd, const char *file, char *const *process, struct strlist *ret,
                       struct error *err)
{
        auto_strbuf struct strbuf text = STRBUF_INIT;
        const char *name = fd >= 0 ? "--envfd" : "--envfile";
        int result;

        if (fd < 0 && !file) {
                for (; *process; process++)
                        if (strlist_append(ret, *process) < 0)
                                return error_no_memory(err);
                return 0;
        }
        result = fd >= 0 ? io_read_fd(fd, "descriptor", ENV_FILE_LIMIT, &text, err)
                         : io_read_file(AT_FDCWD, file, ENV_FILE_LIMIT, &text, err);
        if (result < 0 || env_add_text(ret, strbuf_text(&text), text.length, NULL, err) < 0)
                return error_prefix(err, "%s", name);
        return 0;
}
