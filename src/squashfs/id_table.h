/* The owners in an image: inodes refer to uids and gids by their number in one list. */
#pragma once

#include "squashfs/content_hash.h"
#include "squashfs/hash_index.h"
#include "util/error.h"

struct id_table {
        uint32_t *ids;
        size_t count, capacity;
        struct hash_index index;
};

#define ID_TABLE_INIT { .ids = NULL }

void id_table_release(struct id_table *table);

/* The number of an id, which is added if it is new. Returns 0, or -1 with *err. */
int id_table_add(struct id_table *table, const struct content_hash_key *key, uint32_t id,
                 uint16_t *ret, struct error *err);
