/* Reading positions in metadata and tables, over the cache of decompressed metadata blocks. */
#include "squashfs/image.h"

#include <endian.h>
#include <inttypes.h>
#include <stdatomic.h>
#include <string.h>

void meta_release(struct meta_cursor *cursor)
{
        if (cursor->block)
                block_cache_put(cursor->image->metadata, cursor->block, false);
        cursor->block = NULL;
}

static int hold_block(struct meta_cursor *cursor, uint64_t position, struct error *err)
{
        struct block_key key = { .position = position };

        if (cursor->block && cursor->block->key.position == position)
                return 0;
        meta_release(cursor);
        cursor->block = block_cache_get(cursor->image->metadata, key, err);
        return cursor->block ? 0 : -1;
}

int meta_seek(struct meta_cursor *cursor, struct meta_position position, struct error *err)
{
        if (hold_block(cursor, position.block, err) < 0)
                return -1;
        if (position.offset > cursor->block->size)
                return image_damaged(cursor->image, err,
                                     "refers to byte %" PRIu32 " of the metadata at %" PRIu64,
                                     position.offset, position.block);
        cursor->offset = position.offset;
        return 0;
}

/*
 * Bytes left in the block, which is the next one when this is used up. Positions
 * only rise and no block is empty, so every walk ends with the image.
 */
static int available(struct meta_cursor *cursor, uint32_t *ret, struct error *err)
{
        if (cursor->offset == cursor->block->size) {
                if (hold_block(cursor, cursor->block->key.position + cursor->block->disk_size,
                               err) < 0)
                        return -1;
                cursor->offset = 0;
        }
        *ret = cursor->block->size - cursor->offset;
        return 0;
}

/* Move on by size bytes, copying them to the buffer unless it is NULL. */
static int advance(struct meta_cursor *cursor, uint8_t *to, uint64_t size, struct error *err)
{
        while (size > 0) {
                uint32_t piece;

                if (available(cursor, &piece, err) < 0)
                        return -1;
                if (piece > size)
                        piece = (uint32_t)size;
                if (to) {
                        memcpy(to, cursor->block->data + cursor->offset, piece);
                        to += piece;
                }
                cursor->offset += piece;
                size -= piece;
        }
        return 0;
}

int meta_read(struct meta_cursor *cursor, void *buffer, size_t size, struct error *err)
{
        return advance(cursor, buffer, size, err);
}

int meta_skip(struct meta_cursor *cursor, uint64_t size, struct error *err)
{
        return advance(cursor, NULL, size, err);
}

struct meta_position meta_tell(const struct meta_cursor *cursor)
{
        return (struct meta_position){ cursor->block->key.position, cursor->offset };
}

struct meta_position meta_position_of(uint64_t reference, uint64_t start)
{
        return (struct meta_position){
                .block = start + ((reference >> 16) & UINT32_MAX),
                .offset = reference & UINT16_MAX,
        };
}

/* ---- tables ---- */

static uint64_t table_block_count(uint32_t count, size_t entry_size)
{
        return ((uint64_t)count * entry_size + SQFS_META_BLOCK_SIZE - 1) / SQFS_META_BLOCK_SIZE;
}

int table_init(struct squashfs_image *image, struct table *table, uint64_t list, uint32_t count,
               size_t entry_size, const char *what, struct error *err)
{
        uint64_t blocks = table_block_count(count, entry_size), end = image->super.bytes_used;

        *table = (struct table){ .list = list, .count = count, .entry_size = entry_size };
        if (count == 0)
                return 0;
        if (list > end || blocks > (end - list) / sizeof(*table->blocks))
                return image_damaged(image, err, "its %s table is outside", what);
        table->blocks = calloc(blocks, sizeof(*table->blocks));
        return table->blocks ? 0 : error_no_memory(err);
}

void table_release(struct table *table)
{
        free((void *)table->blocks);
}

/* Threads may find out the same at the same time. */
static int table_block(struct squashfs_image *image, struct table *table, uint64_t number,
                       uint64_t *ret, struct error *err)
{
        uint64_t block = atomic_load_explicit(&table->blocks[number], memory_order_relaxed);

        if (block == 0) {
                if (image_pread(image, &block, sizeof(block), table->list + number * sizeof(block),
                                err) < 0)
                        return -1;
                block = le64toh(block);
                atomic_store_explicit(&table->blocks[number], block, memory_order_relaxed);
        }
        *ret = block;
        return 0;
}

int table_read(struct squashfs_image *image, struct table *table, uint32_t index, void *entry,
               struct error *err)
{
        auto_meta_cursor struct meta_cursor cursor = META_CURSOR_INIT(image);
        uint64_t byte = (uint64_t)index * table->entry_size;
        struct meta_position position = { .offset = byte % SQFS_META_BLOCK_SIZE };

        if (index >= table->count)
                return image_damaged(image, err, "refers to entry %" PRIu32 " of %" PRIu32, index,
                                     table->count);
        if (table_block(image, table, byte / SQFS_META_BLOCK_SIZE, &position.block, err) < 0 ||
            meta_seek(&cursor, position, err) < 0)
                return -1;
        return meta_read(&cursor, entry, table->entry_size, err);
}
