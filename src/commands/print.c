#include "commands/print.h"

int print_result(const struct strbuf *text, FILE *out, struct error *err)
{
        if (text->failed)
                return error_no_memory(err);
        return fputs(strbuf_text(text), out) < 0 ? error_errno(err, "standard output") : 0;
}
