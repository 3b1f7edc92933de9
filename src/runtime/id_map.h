/*
 * Maps between the ids of a user namespace and those of the host, from the text of
 * /etc/subuid or /etc/subgid (subuid(5), subgid(5)). Pure.
 *
 * For root inside, 0 is the user himself and 1, 2, … are his subordinate ids in the
 * order of the file. For a user who stays himself, 0 and his own id change places in
 * that map: any other id means the same owner on the disk in both, so a container can be
 * started now as the one and now as the other.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

/*
 * Ranges of a user that are used; further ones stay unmapped. The kernel takes a map of
 * 340 lines, but in one write of less than a page (user_namespaces(7)).
 */
#define ID_MAP_RANGES_MAX 96

struct id_range {
        uint32_t inside, outside, count;
};

struct id_map {
        /* The user's own id comes first; room for the two ends of a range that is split. */
        struct id_range ranges[ID_MAP_RANGES_MAX + 3];
        size_t count;
        uint32_t end; /* 0 to end - 1 are mapped; 1 when there are no subordinate ids */
};

/* How many ids a user gets by default, and the first of them (login.defs(5), SUB_UID_MIN). */
#define SUBID_DEFAULT_COUNT 65536u
#define SUBID_DEFAULT_FIRST 100000u

/*
 * Make the map for root inside.
 *
 * name  of the user, as the lines may have it; they may have his number, too
 * uid   that number: his user id for both files
 * own   his own id of the kind that the file is about. Lines that grant it to him
 *       ("user:1000:1"), or an id twice, add nothing for it.
 *
 * Lines that are no "NAME:FIRST:COUNT" of 32-bit ids are left out, as newuidmap(1) does.
 */
void id_map_read(struct id_map *map, const char *text, const char *name, uint32_t uid,
                 uint32_t own);

/* Change it for a user who stays himself: 0 and own change places. */
void id_map_keep_own(struct id_map *map, uint32_t own);

/* The first id after all that the file grants to anybody, for a line that could be added. */
uint32_t subid_first_free(const char *text);
