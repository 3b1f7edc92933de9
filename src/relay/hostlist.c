#include "relay/hostlist.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#define DIGITS_LIMIT  9 /* of a number: it fits 32 bits */
#define BRACKET_LIMIT 8 /* in an item */
#define DIGITS        "0123456789"

/* A part of the list's text. */
struct span {
        const char *text;
        size_t length;
};

/* "LOW" or "LOW-HIGH". */
struct range {
        uint32_t low, count;
        int width; /* of a number with zeros in front */
};

/* ---- numbers in brackets ---- */

/* Take a number from the front of a span: its digits, or 0 when there is none. */
static size_t take_number(struct span *span, uint32_t *ret)
{
        size_t digits = 0;

        *ret = 0;
        while (digits < span->length && span->text[digits] >= '0' && span->text[digits] <= '9') {
                if (digits == DIGITS_LIMIT)
                        return 0;
                *ret = *ret * 10 + (uint32_t)(span->text[digits++] - '0');
        }
        span->text += digits;
        span->length -= digits;
        return digits;
}

static bool take_char(struct span *span, char c)
{
        if (span->length == 0 || *span->text != c)
                return false;
        span->text++;
        span->length--;
        return true;
}

/* Take a range, and the comma behind it, from the front of a bracket's content. */
static bool take_range(struct span *bracket, struct range *ret)
{
        size_t digits = take_number(bracket, &ret->low);
        uint32_t high = ret->low;

        if (digits == 0 || (take_char(bracket, '-') && take_number(bracket, &high) == 0) ||
            high < ret->low || high - ret->low >= HOSTLIST_NAME_LIMIT)
                return false;
        ret->width = (int)digits;
        ret->count = high - ret->low + 1;
        return bracket->length == 0 || (take_char(bracket, ',') && bracket->length > 0);
}

/* How many numbers a bracket has; 0 for what is none. */
static uint32_t count_numbers(struct span bracket)
{
        uint32_t count = 0;
        struct range range;

        while (bracket.length > 0) {
                if (!take_range(&bracket, &range))
                        return 0;
                count += range.count;
                if (count > HOSTLIST_NAME_LIMIT)
                        return 0;
        }
        return count;
}

/* Print the number at an index, which is there. */
static size_t print_number(struct span bracket, uint32_t index, char *ret, size_t size)
{
        struct range range = { .width = 0 };

        while (take_range(&bracket, &range) && index >= range.count)
                index -= range.count;
        return (size_t)snprintf(ret, size, "%0*u", range.width, range.low + index);
}

/* ---- items ---- */

/* An item: texts with brackets between them. */
struct item {
        struct span texts[BRACKET_LIMIT + 1], brackets[BRACKET_LIMIT];
        size_t bracket_count;
        uint32_t counts[BRACKET_LIMIT];
        uint32_t count; /* of its names */
};

static bool is_name(struct span text)
{
        for (size_t i = 0; i < text.length; i++)
                if (!strchr("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ" DIGITS "-._",
                            text.text[i]))
                        return false;
        return true;
}

static bool add_bracket(struct item *item, struct span bracket)
{
        uint32_t count = count_numbers(bracket);

        if (count == 0 || item->bracket_count == BRACKET_LIMIT ||
            (uint64_t)item->count * count > HOSTLIST_NAME_LIMIT)
                return false;
        item->brackets[item->bracket_count] = bracket;
        item->counts[item->bracket_count++] = count;
        item->count *= count;
        return true;
}

/* Take an item, without the comma behind it. */
static bool take_item(const char **list, struct item *ret)
{
        const char *at = *list;

        *ret = (struct item){ .count = 1 };
        for (;;) {
                struct span text = { at, strcspn(at, ",[") }, bracket;

                if (!is_name(text))
                        return false;
                ret->texts[ret->bracket_count] = text;
                at += text.length;
                if (*at != '[')
                        break;
                bracket = (struct span){ at + 1, strcspn(at + 1, "]") };
                if (bracket.text[bracket.length] != ']' || !add_bracket(ret, bracket))
                        return false;
                at = bracket.text + bracket.length + 1;
        }
        if (at == *list)
                return false;
        *list = at;
        return true;
}

/* Print the item's name at an index, which is there. False when it is too long. */
static bool print_name(const struct item *item, uint32_t index, char ret[HOSTLIST_NAME_SIZE])
{
        uint32_t rest = item->count;
        size_t length = 0;

        for (size_t i = 0; i <= item->bracket_count; i++) {
                struct span text = item->texts[i];

                if (text.length >= HOSTLIST_NAME_SIZE - length)
                        return false;
                memcpy(ret + length, text.text, text.length);
                length += text.length;
                if (i == item->bracket_count)
                        break;
                rest /= item->counts[i];
                length += print_number(item->brackets[i], index / rest, ret + length,
                                       HOSTLIST_NAME_SIZE - length);
                index %= rest;
                if (length >= HOSTLIST_NAME_SIZE)
                        return false;
        }
        ret[length] = '\0';
        return true;
}

int hostlist_name(const char *list, uint32_t index, char ret[HOSTLIST_NAME_SIZE],
                  struct error *err)
{
        const char *at = list;
        struct item item;

        for (;;) {
                if (!take_item(&at, &item))
                        return error_set(err, EINVAL, "%.200s: not a list of hosts", list);
                if (index < item.count)
                        break;
                index -= item.count;
                if (*at++ != ',')
                        return error_set(err, ENOENT, "%.200s: has fewer hosts", list);
        }
        return print_name(&item, index, ret)
                       ? 0
                       : error_set(err, EINVAL, "%.200s: a name is too long", list);
}
