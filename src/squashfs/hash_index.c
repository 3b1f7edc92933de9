/*
 * See hash_index.h. Hashes must be well spread in their low bits and, for items that
 * an image chooses, keyed: chains are walked one by one.
 */
#include "squashfs/hash_index.h"

#include <stdlib.h>

#define FIRST_CAPACITY 256

struct hash_slot {
        uint64_t hash;
        uint32_t item;
        bool used;
};

void hash_index_release(struct hash_index *index)
{
        free(index->slots);
        *index = (struct hash_index)HASH_INDEX_INIT;
}

static void insert(struct hash_slot *slots, size_t capacity, struct hash_slot slot)
{
        size_t at = slot.hash & (capacity - 1);

        while (slots[at].used)
                at = (at + 1) & (capacity - 1);
        slots[at] = slot;
}

static int grow(struct hash_index *index)
{
        size_t capacity = index->capacity ? index->capacity * 2 : FIRST_CAPACITY;
        struct hash_slot *slots = calloc(capacity, sizeof(*slots));

        if (!slots)
                return -1;
        for (size_t i = 0; i < index->capacity; i++)
                if (index->slots[i].used)
                        insert(slots, capacity, index->slots[i]);
        free(index->slots);
        index->slots = slots;
        index->capacity = capacity;
        return 0;
}

int hash_index_add(struct hash_index *index, uint64_t hash, uint32_t item)
{
        if (index->used * 2 >= index->capacity && grow(index) < 0)
                return -1;
        insert(index->slots, index->capacity,
               (struct hash_slot){ .hash = hash, .item = item, .used = true });
        index->used++;
        return 0;
}

bool hash_index_next(const struct hash_index *index, uint64_t hash, size_t *cursor,
                     uint32_t *ret_item)
{
        for (; index->capacity; ++*cursor) {
                const struct hash_slot *slot =
                        &index->slots[(hash + *cursor) & (index->capacity - 1)];

                if (!slot->used)
                        return false;
                if (slot->hash == hash) {
                        *ret_item = slot->item;
                        ++*cursor;
                        return true;
                }
        }
        return false;
}
