/*
 * File content: from an offset in a file to blocks in the image.
 *
 * A file is a run of blocks, one after the other on disk, whose on-disk sizes
 * follow its inode, and perhaps a fragment: the rest that shares a block with the
 * rests of other files. Compressed blocks come out of the data cache; what is
 * stored uncompressed is left where it is and read by whoever wants it.
 */
#include "squashfs/image.h"

#include <endian.h>
#include <errno.h>
#include <inttypes.h>
#include <string.h>

/* Entries of a block list that are read at a time. */
#define LIST_PIECE 256

/* A fragment's content is never larger than a block, so 24 bits and the flag are all there is. */
static int check_placement(struct squashfs_image *image, uint64_t position, uint32_t size_word,
                           struct error *err)
{
        uint32_t size = SQFS_ON_DISK_BLOCK_SIZE(size_word);
        uint64_t end = image->super.bytes_used;

        if (size > image->super.block_size || position > end || size > end - position)
                return image_damaged(image, err,
                                     "refers to a block of %" PRIu32 " bytes at %" PRIu64, size,
                                     position);
        return 0;
}

/* ---- fragments ---- */

static int read_fragment(struct squashfs_image *image, uint32_t index, uint64_t *ret_position,
                         uint32_t *ret_size_word, struct error *err)
{
        sqfs_fragment_t raw;

        if (table_read(image, &image->fragments, index, &raw, err) < 0)
                return -1;
        *ret_position = le64toh(raw.start_offset);
        *ret_size_word = le32toh(raw.size);
        return check_placement(image, *ret_position, *ret_size_word, err);
}

int file_position(struct squashfs_image *image, const struct inode *inode, uint64_t *ret,
                  struct error *err)
{
        uint32_t size_word;

        *ret = 0;
        if (inode->file.block_count > 0)
                *ret = inode->file.start;
        else if (inode->file.fragment != NO_FRAGMENT)
                return read_fragment(image, inode->file.fragment, ret, &size_word, err);
        return 0;
}

/* ---- extents ---- */

static void append_plain(struct squashfs_map *map, uint64_t position, uint32_t size)
{
        struct squashfs_extent *last = map->count ? &map->extents[map->count - 1] : NULL;

        map->size += size;
        if (last && last->kind == SQUASHFS_PLAIN && last->position + last->size == position) {
                last->size += size;
                return;
        }
        map->extents[map->count++] = (struct squashfs_extent){
                .kind = SQUASHFS_PLAIN,
                .size = size,
                .position = position,
        };
}

static void append_hole(struct squashfs_map *map, uint32_t size)
{
        struct squashfs_extent *last = map->count ? &map->extents[map->count - 1] : NULL;

        map->size += size;
        if (last && last->kind == SQUASHFS_HOLE) {
                last->size += size;
                return;
        }
        map->extents[map->count++] = (struct squashfs_extent){
                .kind = SQUASHFS_HOLE,
                .size = size,
        };
}

/* The bytes from start to end of the block at position. */
static int append_stored(struct squashfs_image *image, struct squashfs_map *map, uint64_t position,
                         uint32_t size_word, uint32_t start, uint32_t end, bool consumed,
                         struct error *err)
{
        struct block_key key = { .position = position, .size_word = size_word };
        struct cached_block *block;

        if (!SQFS_IS_BLOCK_COMPRESSED(size_word)) {
                if (end > SQFS_ON_DISK_BLOCK_SIZE(size_word))
                        return image_damaged(image, err, "the block at %" PRIu64 " is too short",
                                             position);
                append_plain(map, position + start, end - start);
                return 0;
        }
        block = block_cache_get(image->data, key, err);
        if (!block)
                return -1;
        if (end > block->size) {
                block_cache_put(image->data, block, false);
                return image_damaged(image, err, "the block at %" PRIu64 " is too short", position);
        }
        map->size += end - start;
        map->extents[map->count++] = (struct squashfs_extent){
                .kind = SQUASHFS_MEMORY,
                .size = end - start,
                .data = block->data + start,
                .block = block,
                .consumed = consumed,
        };
        return 0;
}

/* ---- block lists ---- */

/* A place in a file's block list. */
struct list_walk {
        struct meta_cursor cursor; /* at the entry of block index */
        uint64_t index;
        uint64_t data; /* where that block is on disk */
};

static struct block_checkpoint *checkpoint_slot(struct squashfs_image *image, squashfs_ref ref,
                                                uint64_t index)
{
        uint64_t hash = (ref + index / CHECKPOINT_INTERVAL) * UINT64_C(0x9e3779b97f4a7c15);

        return &image->checkpoints[(hash >> 32) % CHECKPOINT_SLOTS];
}

static void checkpoint_store(struct squashfs_image *image, squashfs_ref ref,
                             const struct list_walk *walk)
{
        struct block_checkpoint *slot = checkpoint_slot(image, ref, walk->index);

        pthread_mutex_lock(&image->lock);
        *slot = (struct block_checkpoint){
                .ref = ref,
                .index = walk->index,
                .data = walk->data,
                .list = meta_tell(&walk->cursor),
        };
        pthread_mutex_unlock(&image->lock);
}

/* The last checkpoint not after the block; *ret is left alone when there is none. */
static void checkpoint_find(struct squashfs_image *image, squashfs_ref ref, uint64_t index,
                            struct block_checkpoint *ret)
{
        pthread_mutex_lock(&image->lock);
        for (index -= index % CHECKPOINT_INTERVAL; index > 0; index -= CHECKPOINT_INTERVAL) {
                const struct block_checkpoint *slot = checkpoint_slot(image, ref, index);

                if (slot->index == index && slot->ref == ref) {
                        *ret = *slot;
                        break;
                }
        }
        pthread_mutex_unlock(&image->lock);
}

/* Add up the sizes of count blocks. */
static int walk_skip(struct list_walk *walk, uint64_t count, struct error *err)
{
        uint32_t words[LIST_PIECE];

        while (count > 0) {
                size_t piece = count < LIST_PIECE ? (size_t)count : LIST_PIECE;

                if (meta_read(&walk->cursor, words, piece * sizeof(*words), err) < 0)
                        return -1;
                for (size_t i = 0; i < piece; i++)
                        walk->data += SQFS_ON_DISK_BLOCK_SIZE(le32toh(words[i]));
                walk->index += piece;
                count -= piece;
        }
        return 0;
}

static int walk_to(struct list_walk *walk, const struct inode *inode, uint64_t index,
                   struct error *err)
{
        struct squashfs_image *image = walk->cursor.image;
        struct block_checkpoint from = {
                .data = inode->file.start,
                .list = inode->file.list,
        };

        checkpoint_find(image, inode->ref, index, &from);
        walk->index = from.index;
        walk->data = from.data;
        if (meta_seek(&walk->cursor, from.list, err) < 0)
                return -1;
        while (index - walk->index >= CHECKPOINT_INTERVAL) {
                if (walk_skip(walk, CHECKPOINT_INTERVAL, err) < 0)
                        return -1;
                checkpoint_store(image, inode->ref, walk);
        }
        return walk_skip(walk, index - walk->index, err);
}

static void cleanup_walk(struct list_walk *walk)
{
        meta_release(&walk->cursor);
}

/* Add the blocks that hold the bytes from offset to end. */
static int map_blocks(struct squashfs_image *image, const struct inode *inode, uint64_t offset,
                      uint64_t end, struct squashfs_map *map, struct error *err)
{
        auto_cleanup(cleanup_walk) struct list_walk walk = { .cursor = META_CURSOR_INIT(image) };
        uint32_t block_size = image->super.block_size;

        if (walk_to(&walk, inode, offset / block_size, err) < 0)
                return -1;
        while (offset < end && map->count < SQUASHFS_MAP_EXTENTS) {
                uint64_t first = walk.index * block_size, last = first + block_size;
                uint32_t size_word, to;

                if (last > inode->file.size)
                        last = inode->file.size;
                to = (uint32_t)((last < end ? last : end) - first);
                if (meta_read(&walk.cursor, &size_word, sizeof(size_word), err) < 0)
                        return -1;
                size_word = le32toh(size_word);
                if (check_placement(image, walk.data, size_word, err) < 0)
                        return -1;

                if (SQFS_IS_SPARSE_BLOCK(size_word))
                        append_hole(map, (uint32_t)(first + to - offset));
                else if (append_stored(image, map, walk.data, size_word, (uint32_t)(offset - first),
                                       to, first + to == last, err) < 0)
                        return -1;
                walk.data += SQFS_ON_DISK_BLOCK_SIZE(size_word);
                walk.index++;
                offset = first + to;
        }
        return 0;
}

static int map_fragment(struct squashfs_image *image, const struct inode *inode, uint64_t start,
                        uint64_t end, struct squashfs_map *map, struct error *err)
{
        uint32_t offset = inode->file.fragment_offset, size_word;
        uint64_t position;

        if (read_fragment(image, inode->file.fragment, &position, &size_word, err) < 0)
                return -1;
        return append_stored(image, map, position, size_word, offset + (uint32_t)start,
                             offset + (uint32_t)end, false, err);
}

int file_map(struct squashfs_image *image, const struct inode *inode, uint64_t offset,
             uint64_t size, struct squashfs_map *map, struct error *err)
{
        uint64_t in_blocks = inode->file.block_count * image->super.block_size, end;
        int status = 0;

        map->size = 0;
        map->count = 0;
        if (inode->type != ENTRY_FILE)
                return error_set(err, inode->type == ENTRY_DIRECTORY ? EISDIR : EINVAL,
                                 "%s: inode %" PRIu32 " is no regular file", image->name,
                                 inode->number);
        if (offset >= inode->file.size)
                return 0;
        end = size < inode->file.size - offset ? offset + size : inode->file.size;

        if (offset < in_blocks)
                status = map_blocks(image, inode, offset, end < in_blocks ? end : in_blocks, map,
                                    err);
        if (status == 0 && end > in_blocks && offset + map->size >= in_blocks &&
            map->count < SQUASHFS_MAP_EXTENTS)
                status = map_fragment(image, inode, offset + map->size - in_blocks, end - in_blocks,
                                      map, err);
        if (status < 0)
                squashfs_unmap(image, map);
        return status;
}

/* ---- public ---- */

int squashfs_map(struct squashfs_image *image, squashfs_ref file, uint64_t offset, uint64_t size,
                 struct squashfs_map *ret, struct error *err)
{
        struct inode inode;

        ret->size = 0;
        ret->count = 0;
        if (inode_load(image, file, &inode, err) < 0)
                return -1;
        return file_map(image, &inode, offset, size, ret, err);
}

void squashfs_unmap(struct squashfs_image *image, struct squashfs_map *map)
{
        for (size_t i = 0; i < map->count; i++) {
                if (map->extents[i].kind == SQUASHFS_MEMORY)
                        block_cache_put(image->data, map->extents[i].block,
                                        map->extents[i].consumed);
        }
        map->size = 0;
        map->count = 0;
}

/* What a thread is at, and what it has in common with the one before and behind it. */
#define BLOCKS_A_THREAD 4

void squashfs_read_once(struct squashfs_image *image, unsigned int threads)
{
        block_cache_limit(image->data, (size_t)threads * BLOCKS_A_THREAD);
}

int squashfs_read_plain(struct squashfs_image *image, void *buffer, size_t size, uint64_t position,
                        struct error *err)
{
        return image_pread(image, buffer, size, position, err);
}

static int copy_extents(struct squashfs_image *image, const struct squashfs_map *map,
                        uint8_t *buffer, struct error *err)
{
        for (size_t i = 0; i < map->count; i++) {
                const struct squashfs_extent *extent = &map->extents[i];

                switch (extent->kind) {
                case SQUASHFS_HOLE:
                        memset(buffer, 0, extent->size);
                        break;
                case SQUASHFS_MEMORY:
                        memcpy(buffer, extent->data, extent->size);
                        break;
                case SQUASHFS_PLAIN:
                        if (image_pread(image, buffer, extent->size, extent->position, err) < 0)
                                return -1;
                        break;
                }
                buffer += extent->size;
        }
        return 0;
}

/* Content decompressed at a time by squashfs_read; bounds what it holds in memory. */
#define READ_PIECE (1 << 20)

ssize_t squashfs_read(struct squashfs_image *image, squashfs_ref file, void *buffer, size_t size,
                      uint64_t offset, struct error *err)
{
        struct squashfs_map map = SQUASHFS_MAP_INIT;
        struct inode inode;
        size_t done = 0;

        if (inode_load(image, file, &inode, err) < 0)
                return -1;
        while (done < size) {
                size_t piece = size - done < READ_PIECE ? size - done : READ_PIECE;
                size_t mapped;
                int status;

                if (file_map(image, &inode, offset + done, piece, &map, err) < 0)
                        return -1;
                mapped = (size_t)map.size;
                if (mapped == 0)
                        break;
                status = copy_extents(image, &map, (uint8_t *)buffer + done, err);
                squashfs_unmap(image, &map);
                if (status < 0)
                        return -1;
                done += mapped;
        }
        return (ssize_t)done;
}
