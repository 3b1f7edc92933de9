/*
 * See xattr_table.h. libsquashfs' own writer of this table hashes by a public function
 * and writes past its list of blocks when the sets just fill a block (version 1.2.0).
 */
#include "squashfs/xattr_table.h"

#include <endian.h>
#include <errno.h>
#include <limits.h>
#include <linux/limits.h>
#include <stdlib.h>
#include <string.h>

#include <sqfs/block.h>
#include <sqfs/meta_writer.h>
#include <sqfs/xattr.h>

#include "squashfs/libraries.h"

#define FIRST_CAPACITY 16

struct xattr_set {
        size_t offset; /* in the table's bytes */
        uint32_t size; /* bytes */
        uint32_t count;
        uint64_t reference; /* of its first byte in the image */
};

void xattr_table_release(struct xattr_table *table)
{
        strbuf_release(&table->bytes);
        free(table->sets);
        hash_index_release(&table->index);
        *table = (struct xattr_table)XATTR_TABLE_INIT;
}

/* The name behind its prefix, or NULL when squashfs has no such name space. */
static const char *split_name(const char *name, uint16_t *ret_type)
{
        static const struct {
                const char *prefix;
                SQFS_XATTR_TYPE type;
        } spaces[] = {
                { "user.", SQFS_XATTR_USER },
                { "trusted.", SQFS_XATTR_TRUSTED },
                { "security.", SQFS_XATTR_SECURITY },
        };

        for (size_t i = 0; i < ARRAY_SIZE(spaces); i++) {
                size_t length = strlen(spaces[i].prefix);

                if (strncmp(name, spaces[i].prefix, length) == 0 && name[length] != '\0') {
                        *ret_type = (uint16_t)spaces[i].type;
                        return name + length;
                }
        }
        return NULL;
}

/* Append the set to the table's bytes. set->offset is their old length. */
static int serialize(struct xattr_table *table, const struct xattr_list *list,
                     struct xattr_set *set, struct error *err)
{
        *set = (struct xattr_set){ .offset = table->bytes.length };
        for (size_t i = 0; i < list->count; i++) {
                const struct xattr *xattr = &list->items[i];
                uint16_t type = 0;
                const char *name = split_name(xattr->name, &type);
                sqfs_xattr_entry_t entry;
                sqfs_xattr_value_t value;

                if (!name)
                        continue;
                if (strlen(xattr->name) > XATTR_NAME_MAX || xattr->size > XATTR_SIZE_MAX)
                        return error_set(err, E2BIG,
                                         "extended attribute %.*s is larger than Linux allows",
                                         XATTR_NAME_MAX, xattr->name);
                entry.type = htole16(type);
                entry.size = htole16((uint16_t)strlen(name));
                value.size = htole32((uint32_t)xattr->size);
                strbuf_append_mem(&table->bytes, &entry, sizeof(entry));
                strbuf_append_mem(&table->bytes, name, strlen(name));
                strbuf_append_mem(&table->bytes, &value, sizeof(value));
                strbuf_append_mem(&table->bytes, xattr->value, xattr->size);
                set->count++;
        }
        if (table->bytes.failed)
                return error_no_memory(err);
        if (table->bytes.length - set->offset > INT32_MAX)
                return error_set(err, E2BIG, "more than 2 GiB of extended attributes");
        set->size = (uint32_t)(table->bytes.length - set->offset);
        return 0;
}

static void drop_last(struct xattr_table *table, const struct xattr_set *set)
{
        table->bytes.length = set->offset;
}

static int append(struct xattr_table *table, uint64_t hash, const struct xattr_set *set)
{
        if (table->count == table->capacity) {
                uint32_t capacity = table->capacity ? table->capacity * 2 : FIRST_CAPACITY;
                struct xattr_set *sets;

                if (capacity < table->capacity)
                        return -1;
                sets = reallocarray(table->sets, capacity, sizeof(*sets));
                if (!sets)
                        return -1;
                table->sets = sets;
                table->capacity = capacity;
        }
        if (hash_index_add(&table->index, hash, table->count) < 0)
                return -1;
        table->sets[table->count++] = *set;
        return 0;
}

int xattr_table_add(struct xattr_table *table, const struct content_hash_key *key,
                    const struct xattr_list *list, uint32_t *ret, struct error *err)
{
        struct xattr_set set;
        const char *bytes;
        size_t cursor = 0;
        uint32_t item;
        uint64_t hash;

        if (serialize(table, list, &set, err) < 0)
                return -1;
        if (set.count == 0) {
                *ret = NO_XATTRS;
                return 0;
        }

        bytes = table->bytes.data + set.offset;
        hash = content_hash_of(key, bytes, set.size).value[0];
        while (hash_index_next(&table->index, hash, &cursor, &item)) {
                const struct xattr_set *earlier = &table->sets[item];

                if (earlier->size == set.size &&
                    memcmp(table->bytes.data + earlier->offset, bytes, set.size) == 0) {
                        drop_last(table, &set);
                        *ret = item;
                        return 0;
                }
        }
        if (append(table, hash, &set) < 0)
                return error_no_memory(err);
        *ret = table->count - 1;
        return 0;
}

/* ---- writing ---- */

static void cleanup_meta_writer(sqfs_meta_writer_t **writer)
{
        sqfs_destroy(*writer);
}

static int write_sets(struct xattr_table *table, struct output *output,
                      sqfs_compressor_t *compressor, struct error *err)
{
        auto_cleanup(cleanup_meta_writer) sqfs_meta_writer_t *meta =
                libsquashfs.meta_writer_create(&output->base, compressor, 0);
        int status = 0;

        if (!meta)
                return error_no_memory(err);
        for (uint32_t i = 0; i < table->count && status == 0; i++) {
                struct xattr_set *set = &table->sets[i];
                sqfs_u64 block;
                sqfs_u32 offset;

                libsquashfs.meta_writer_get_position(meta, &block, &offset);
                set->reference = block << 16 | offset;
                status = libsquashfs.meta_writer_append(meta, table->bytes.data + set->offset,
                                                        set->size);
        }
        if (status == 0)
                status = libsquashfs.meta_writer_flush(meta);
        return output_check(output, status, "extended attributes", err);
}

/*
 * The sets' places, in metadata blocks, each of whose own place is put into
 * places[]: there are as many as the table needs blocks.
 */
static int write_set_list(const struct xattr_table *table, struct output *output,
                          sqfs_compressor_t *compressor, uint64_t *places, struct error *err)
{
        const uint32_t per_block = SQFS_META_BLOCK_SIZE / sizeof(sqfs_xattr_id_t);
        auto_cleanup(cleanup_meta_writer) sqfs_meta_writer_t *meta =
                libsquashfs.meta_writer_create(&output->base, compressor, 0);
        int status = 0;

        if (!meta)
                return error_no_memory(err);
        for (uint32_t i = 0; i < table->count && status == 0; i++) {
                const struct xattr_set *set = &table->sets[i];
                sqfs_xattr_id_t id = {
                        .xattr = htole64(set->reference),
                        .count = htole32(set->count),
                        .size = htole32(set->size),
                };

                /* A full block was written by the append before. */
                if (i % per_block == 0)
                        places[i / per_block] = htole64(output->size);
                status = libsquashfs.meta_writer_append(meta, &id, sizeof(id));
        }
        if (status == 0)
                status = libsquashfs.meta_writer_flush(meta);
        return output_check(output, status, "list of extended attributes", err);
}

int xattr_table_write(struct xattr_table *table, struct output *output,
                      sqfs_compressor_t *compressor, sqfs_super_t *super, struct error *err)
{
        const size_t list_size = (size_t)table->count * sizeof(sqfs_xattr_id_t);
        const size_t place_count = (list_size + SQFS_META_BLOCK_SIZE - 1) / SQFS_META_BLOCK_SIZE;
        sqfs_xattr_id_table_t header = {
                .xattr_table_start = htole64(output->size),
                .xattr_ids = htole32(table->count),
        };
        auto_free uint64_t *places = NULL;
        int status;

        if (table->count == 0)
                return 0;
        places = calloc(place_count, sizeof(*places));
        if (!places)
                return error_no_memory(err);
        if (write_sets(table, output, compressor, err) < 0 ||
            write_set_list(table, output, compressor, places, err) < 0)
                return -1;

        super->xattr_id_table_start = output->size;
        status = output->base.write_at(&output->base, output->size, &header, sizeof(header));
        if (status == 0)
                status = output->base.write_at(&output->base, output->size, places,
                                               place_count * sizeof(*places));
        return output_check(output, status, "extended attributes", err);
}
