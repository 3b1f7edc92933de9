#include "runtime/id_map.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

/* The largest id; its successor means "no id" to the kernel. */
#define ID_MAX (UINT32_MAX - 1)

/* One "NAME:FIRST:COUNT" line; name is not terminated. */
struct subid_line {
        const char *name;
        size_t name_length;
        uint32_t first, count;
};

/* ---- the text ---- */

/* A decimal number up to the character end. Advances *at past that. */
static bool parse_number(const char **at, char end, uint32_t *ret)
{
        uint64_t value = 0;
        const char *digit = *at;

        for (; *digit >= '0' && *digit <= '9' && value <= UINT32_MAX; digit++)
                value = value * 10 + (uint64_t)(*digit - '0');
        if (digit == *at || value > UINT32_MAX || (*digit != end && (end != '\n' || *digit)))
                return false;
        *ret = (uint32_t)value;
        *at = digit + (*digit != '\0');
        return true;
}

static bool parse_line(const char *line, struct subid_line *ret)
{
        const char *at;

        ret->name = line;
        ret->name_length = strcspn(line, ":\n");
        at = line + ret->name_length;
        if (ret->name_length == 0 || *at++ != ':' || !parse_number(&at, ':', &ret->first) ||
            !parse_number(&at, '\n', &ret->count))
                return false;
        return ret->count > 0 && ret->first <= ID_MAX && ret->count - 1 <= ID_MAX - ret->first;
}

/* Advance to the next valid line. False at the end of the text. */
static bool next_line(const char **text, struct subid_line *ret)
{
        while (**text) {
                const char *line = *text, *end = strchrnul(line, '\n');

                *text = *end ? end + 1 : end;
                if (parse_line(line, ret))
                        return true;
        }
        return false;
}

static bool is_named(const struct subid_line *line, const char *name)
{
        return name && strlen(name) == line->name_length &&
               memcmp(line->name, name, line->name_length) == 0;
}

uint32_t subid_first_free(const char *text)
{
        uint32_t first = SUBID_DEFAULT_FIRST;
        struct subid_line line;

        while (next_line(&text, &line))
                if (line.first + line.count > first)
                        first = line.first + line.count;
        return first <= ID_MAX - SUBID_DEFAULT_COUNT ? first : SUBID_DEFAULT_FIRST;
}

/* ---- the map ---- */

/* Append the part of a range of the host that the map does not have yet. */
static void add_range(struct id_map *map, uint32_t first, uint32_t last)
{
        while (first <= last && map->count <= ID_MAP_RANGES_MAX) {
                uint32_t end = last, next = last + 1;

                for (size_t i = 0; i < map->count; i++) {
                        const struct id_range *known = &map->ranges[i];
                        uint32_t known_last = known->outside + known->count - 1;

                        if (known_last < first || known->outside > end)
                                continue;
                        if (known->outside <= first) {
                                /* The beginning is known: go on behind it. */
                                next = known_last + 1;
                                end = first - 1;
                                break;
                        }
                        end = known->outside - 1;
                        next = known->outside;
                }
                if (end + 1 > first) {
                        uint32_t count = end + 1 - first;

                        map->ranges[map->count++] = (struct id_range){ map->end, first, count };
                        map->end += count;
                }
                first = next;
        }
}

void id_map_read(struct id_map *map, const char *text, const char *name, uint32_t uid, uint32_t own)
{
        char number[16];
        struct subid_line line;

        (void)snprintf(number, sizeof(number), "%u", uid);
        map->ranges[0] = (struct id_range){ .inside = 0, .outside = own, .count = 1 };
        map->count = 1;
        map->end = 1;
        while (next_line(&text, &line))
                if (is_named(&line, name) || is_named(&line, number))
                        add_range(map, line.first, line.first + line.count - 1);
}

void id_map_keep_own(struct id_map *map, uint32_t own)
{
        /* Beyond the map, the user's id has no place to leave: the last one makes room for 0. */
        uint32_t place = own < map->end ? own : map->end - 1;

        if (own == 0)
                return;
        for (size_t i = 1; i < map->count; i++) {
                struct id_range *range = &map->ranges[i];
                uint32_t before = place - range->inside;
                struct id_range after;

                if (place < range->inside || before >= range->count)
                        continue;
                after = (struct id_range){
                        .inside = place + 1,
                        .outside = range->outside + before + 1,
                        .count = range->count - before - 1,
                };
                /* The place itself is 0 now; the ends of the range stay what they were. */
                map->ranges[map->count++] = (struct id_range){ 0, range->outside + before, 1 };
                range->count = before;
                if (after.count > 0)
                        map->ranges[map->count++] = after;
                if (before == 0)
                        *range = map->ranges[--map->count];
                break;
        }
        map->ranges[0].inside = own;
}
