#include "mount/mount.h"

#include <string.h>

#include "mount/fields.h"

/*
 * The next field of a word, with "\:" made a colon. *rest moves behind it. NULL
 * without memory.
 */
static char *next_field(const char **rest)
{
        auto_strbuf struct strbuf field = STRBUF_INIT;
        const char *p = *rest;

        for (; *p && *p != ':'; p++) {
                if (p[0] == '\\' && p[1] == ':')
                        p++;
                strbuf_append_char(&field, *p);
        }
        *rest = *p ? p + 1 : p;
        return strbuf_take(&field);
}

static int split_word(const char *word, struct strlist *fields)
{
        while (*word) {
                char *field = next_field(&word);

                if (!field)
                        return -1;
                field_unescape(field);
                /*
                 * As for the blanks of fstab, several colons separate no more than one.
                 * But a word that starts with one has lost its source: without it, the
                 * target would be taken for the source.
                 */
                if (!field[0] && fields->count > 0)
                        free(field);
                else if (strlist_append_owned(fields, field) < 0)
                        return -1;
        }
        return 0;
}

int mount_plan_add_word(struct mount_plan *plan, const char *word, struct error *err)
{
        auto_strlist struct strlist fields = STRLIST_INIT;
        bool many;

        if (split_word(word, &fields) < 0)
                return error_no_memory(err);
        many = fields.count > 4;
        if (plan_add_fields(plan, &fields, true, word, err) < 0) {
                error_prefix(err, "--mount %.300s", word);
                return many ? error_append(err, " (a colon in a name is written \"\\:\")") : -1;
        }
        return 0;
}
