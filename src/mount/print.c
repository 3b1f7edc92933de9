#include "mount/mount.h"

#include <ctype.h>
#include <string.h>

#include "mount/options.h"

int mount_escape(struct strbuf *to, const char *text)
{
        for (; *text; text++) {
                unsigned char c = (unsigned char)*text;

                /* '#' could start a comment, "${" a variable; bytes above 127 are names' own. */
                if (c <= ' ' || c == 0x7f || strchr("\\#$", c))
                        strbuf_printf(to, "\\%03o", (unsigned int)c);
                else
                        strbuf_append_char(to, *text);
        }
        return to->failed ? -1 : 0;
}

int mount_entry_print(const struct mount_entry *entry, struct strbuf *text)
{
        mount_escape(text, entry->source ? entry->source : "none");
        strbuf_append_char(text, ' ');
        mount_escape(text, entry->target);
        strbuf_printf(text, " %s ", entry->type ? entry->type : "none");
        options_print(entry, text);
        return strbuf_printf(text, " 0 %d", entry->pass);
}
