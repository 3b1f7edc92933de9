#include "mount/mount.h"


#include "mount/options.h"

int mount_entry_print(const struct mount_entry *entry, struct strbuf *text)
{
        if (entry->content)
                strbuf_printf(text, "memory:%zu", entry->content_length);
        else
                strbuf_append_fstab(text, entry->source ? entry->source : "none");
        strbuf_append_char(text, ' ');
        strbuf_append_fstab(text, entry->target);
        strbuf_printf(text, " %s ", entry->type ? entry->type : "none");
        options_print(entry, text);
        return strbuf_printf(text, " 0 %d", entry->pass);
}
