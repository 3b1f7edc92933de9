/*
 * Which items of an array have a given hash: open addressing over item numbers. The
 * items themselves, and the comparison of them, are the user's.
 *
 *      size_t cursor = 0;
 *      uint32_t item;
 *      while (hash_index_next(&index, hash, &cursor, &item))
 *              if (same(&items[item], wanted)) …
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "util/cleanup.h"

struct hash_slot;

struct hash_index {
        struct hash_slot *slots;
        size_t capacity, used; /* capacity is 0 or a power of two, used at most half of it */
};

#define HASH_INDEX_INIT { .slots = NULL }

void hash_index_release(struct hash_index *index);

/* Returns 0, or -1 without memory. */
int hash_index_add(struct hash_index *index, uint64_t hash, uint32_t item);

/* Whether there is one more item with the hash. *cursor starts at 0. */
bool hash_index_next(const struct hash_index *index, uint64_t hash, size_t *cursor,
                     uint32_t *ret_item);
