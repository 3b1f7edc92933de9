/* See id_table.h. libsquashfs' own table searches linearly and lets the count overflow. */
#include "squashfs/id_table.h"

#include <errno.h>

#define FIRST_CAPACITY 16

/* The count is a 16-bit field of the super block. */
#define IDS_LIMIT UINT16_MAX

void id_table_release(struct id_table *table)
{
        free(table->ids);
        hash_index_release(&table->index);
        *table = (struct id_table)ID_TABLE_INIT;
}

static int append(struct id_table *table, uint64_t hash, uint32_t id, struct error *err)
{
        if (table->count == IDS_LIMIT)
                return error_set(err, EOVERFLOW, "more than %d different owners and groups",
                                 IDS_LIMIT);
        if (table->count == table->capacity) {
                size_t capacity = table->capacity ? table->capacity * 2 : FIRST_CAPACITY;
                uint32_t *ids = reallocarray(table->ids, capacity, sizeof(*ids));

                if (!ids)
                        return error_no_memory(err);
                table->ids = ids;
                table->capacity = capacity;
        }
        if (hash_index_add(&table->index, hash, (uint32_t)table->count) < 0)
                return error_no_memory(err);
        table->ids[table->count++] = id;
        return 0;
}

int id_table_add(struct id_table *table, const struct content_hash_key *key, uint32_t id,
                 uint16_t *ret, struct error *err)
{
        uint64_t hash = content_hash_of(key, &id, sizeof(id)).value[0];
        size_t cursor = 0;
        uint32_t item;

        while (hash_index_next(&table->index, hash, &cursor, &item)) {
                if (table->ids[item] == id) {
                        *ret = (uint16_t)item;
                        return 0;
                }
        }
        if (append(table, hash, id, err) < 0)
                return -1;
        *ret = (uint16_t)(table->count - 1);
        return 0;
}
