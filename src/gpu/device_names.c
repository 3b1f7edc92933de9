#include "gpu/device_names.h"

#include <string.h>

#define SEPARATORS ", \t\n"

bool device_list_wanted(const char *list)
{
        return list && *list && strcmp(list, "void") != 0 && strcmp(list, "none") != 0;
}

bool device_list_is_all(const char *list)
{
        return list && strcmp(list, "all") == 0;
}

/* Digits up to end or another character; false without any, or past the limit. */
static bool take_number(const char **text, const char *end, unsigned int base, uint64_t limit,
                        uint64_t *ret)
{
        const char *start = *text;

        for (*ret = 0; *text < end; (*text)++) {
                static const char digits[] = "0123456789abcdef";
                const char *at = **text ? strchr(digits, **text | 0x20) : NULL;
                unsigned int digit = at ? (unsigned int)(at - digits) : base;

                if (digit >= base)
                        break;
                if (*ret > (limit - digit) / base)
                        return false;
                *ret = *ret * base + digit;
        }
        return *text > start;
}

static bool parse_item(struct device_item *item)
{
        const char *at = item->text, *end = at + item->length;
        uint64_t first, last;

        if (item->length > 2 && at[0] == '0' && (at[1] == 'x' || at[1] == 'X')) {
                at += 2;
                item->is_id = true;
                return take_number(&at, end, 16, UINT64_MAX, &item->id) && at == end;
        }
        if (!take_number(&at, end, 10, DEVICE_LIMIT, &first))
                return false;
        last = first;
        if (at < end && *at == '-') {
                at++;
                if (!take_number(&at, end, 10, DEVICE_LIMIT, &last))
                        return false;
        }
        item->first = (unsigned int)first;
        item->last = (unsigned int)last;
        return at == end && first <= last;
}

int device_list_next(const char **list, struct device_item *ret)
{
        *list += strspn(*list, SEPARATORS);
        *ret = (struct device_item){ .text = *list, .length = strcspn(*list, SEPARATORS) };
        if (ret->length == 0)
                return 0;
        *list += ret->length;
        return parse_item(ret) ? 1 : -1;
}
