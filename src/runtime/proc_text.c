#include "runtime/proc_text.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- stat ---- */

bool proc_stat_parse(const char *text, struct proc_stat *ret)
{
        const char *open = strchr(text, '('), *close = strrchr(text, ')');
        size_t length;

        /* A name may hold anything, parentheses and newlines, too. */
        if (!open || !close || close < open || close[1] != ' ')
                return false;
        length = (size_t)(close - open) - 1;
        if (length >= sizeof(ret->comm))
                return false;
        memcpy(ret->comm, open + 1, length);
        ret->comm[length] = '\0';
        return sscanf(close + 2,
                      "%c %d %d %d %*d %d %*u %*u %*u %*u %*u %*u %*u %*d %*d %*d %ld %ld %*d "
                      "%" SCNu64,
                      &ret->state, &ret->parent, &ret->group, &ret->session, &ret->foreground,
                      &ret->nice, &ret->threads, &ret->start) == 8;
}

/* ---- mountinfo ---- */

/* Octal escapes as the kernel writes them, in place. */
static void unescape(char *text)
{
        char *to = text;

        for (const char *from = text; *from; to++) {
                if (from[0] == '\\' && from[1] >= '0' && from[1] <= '3' && from[2] >= '0' &&
                    from[2] <= '7' && from[3] >= '0' && from[3] <= '7') {
                        *to = (char)((from[1] - '0') << 6 | (from[2] - '0') << 3 | (from[3] - '0'));
                        from += 4;
                } else {
                        *to = *from++;
                }
        }
        *to = '\0';
}

/* The start of the field that is count fields after this one, within the line; or NULL. */
static const char *skip_fields(const char *at, const char *end, unsigned int count)
{
        for (; count > 0; count--) {
                at = memchr(at, ' ', (size_t)(end - at));
                if (!at)
                        return NULL;
                at++;
        }
        return at;
}

/* The source field if this is the line of a mount at "/"; or NULL. */
static const char *source_of_root(const char *line, const char *end)
{
        const char *at = skip_fields(line, end, 4);

        if (!at || end - at < 2 || at[0] != '/' || at[1] != ' ')
                return NULL;
        /* Optional fields end with a "-" of its own; no field before it can be one. */
        for (at = skip_fields(at, end, 2); at; at = skip_fields(at, end, 1))
                if (end - at > 2 && at[0] == '-' && at[1] == ' ')
                        return skip_fields(at, end, 2);
        return NULL;
}

char *proc_root_source(const char *text)
{
        const char *found = NULL;
        char *source;

        while (*text) {
                size_t length = strcspn(text, "\n");
                const char *source_field = source_of_root(text, text + length);

                if (source_field)
                        found = source_field;
                text += length + (text[length] == '\n');
        }
        source = found ? strndup(found, strcspn(found, " \n")) : NULL;
        if (source)
                unescape(source);
        return source;
}

/* ---- status ---- */

bool proc_status_number(const char *text, const char *field, int base, unsigned long *ret)
{
        size_t length = strlen(field);

        while (*text) {
                if (strncmp(text, field, length) == 0 && text[length] == ':') {
                        text += length + 1;
                        text += strspn(text, "\t ");
                        if (!isdigit((unsigned char)*text))
                                return false;
                        *ret = strtoul(text, NULL, base);
                        return true;
                }
                text += strcspn(text, "\n");
                text += *text == '\n';
        }
        return false;
}
