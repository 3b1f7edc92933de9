/*
 * File content on its way into the block pipeline.
 *
 * As mksquashfs does it by default, files below one block are packed into fragment
 * blocks, and the last block of longer files is simply shorter. Small files are written
 * straight to their place in the fragment block; one that turns out to be a duplicate or
 * a hole does not advance it.
 */
#include "squashfs/writer.h"

#include <errno.h>
#include <inttypes.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <sqfs/block.h>
#include <sqfs/super.h>

#include "squashfs/libraries.h"

/* More threads than this would not be kept busy by one reader of layers. */
#define WORKERS_LIMIT 64

/* Blocks in flight: enough that threads do not wait for each other in the queue. */
#define BLOCKS_PER_WORKER 8

/* One in the submitter's hands, one being filled with fragments, one for a thread. */
#define BLOCKS_LEAST 3

/* For blocks in flight, unless -mem says something else; bytes. */
#define MEMORY_DEFAULT ((uint64_t)64 << 20)

/*
 * Of all files together. Each block costs 4 bytes of memory, even in a hole, and a
 * sparse file of any length fits in a tiny archive. This is 16 TiB at 128 KiB.
 */
#define BLOCKS_LIMIT ((uint64_t)1 << 27)

/*
 * mksquashfs takes 15. On 120 MB of documentation that makes 50 MB in 8.3 CPU seconds, and
 * level 1 makes 53 MB in 0.16.
 */
#define ZSTD_LEVEL 1

/* ---- life cycle ---- */

static int create_compressor(struct squashfs_writer *writer, struct error *err)
{
        const struct squashfs_options *options = &writer->options;
        sqfs_compressor_config_t config;

        if (libsquashfs_need(err) < 0)
                return -1;
        if (libsquashfs.compressor_config_init(&config, (SQFS_COMPRESSOR)options->compressor,
                                               options->block_size, 0) != 0)
                return error_set(err, EINVAL, "no compressor has the number %d",
                                 options->compressor);
        if (options->level != 0) {
                config.level = (sqfs_u32)options->level;
        } else if (options->compressor == SQFS_COMP_ZSTD) {
                config.level = ZSTD_LEVEL;
        } else if (options->compressor == SQFS_COMP_LZO) {
                config.opt.lzo.algorithm = SQFS_LZO1X_1;
                config.level = 0;
        }
        if (compressor_create(&config, &writer->compressor, err) < 0)
                return -1;
        return compressor_create_plain(&writer->plain, err);
}

/* The first thing behind the super block: settings of the compressor that are not default. */
static int write_compressor_options(struct squashfs_writer *writer, struct error *err)
{
        struct output *output = &writer->output;
        int status = writer->compressor->write_options(writer->compressor, &output->base);

        if (status < 0)
                return output_check(output, status, "compressor options", err);
        writer->has_compressor_options = status > 0;
        return 0;
}

static unsigned int usable_processors(void)
{
        cpu_set_t set;
        int count;

        if (sched_getaffinity(0, sizeof(set), &set) == 0)
                return (unsigned int)CPU_COUNT(&set);
        /* More than CPU_SETSIZE processors. */
        count = (int)sysconf(_SC_NPROCESSORS_ONLN);
        return count > 0 ? (unsigned int)count : 1;
}

static int start_pipeline(struct squashfs_writer *writer, struct error *err)
{
        const struct squashfs_options *options = &writer->options;
        uint64_t memory = options->memory ? options->memory : MEMORY_DEFAULT;
        /* Each block has room for its compressed form, too. */
        uint64_t affordable = memory / (2 * (uint64_t)options->block_size);
        unsigned int workers = options->processors ? options->processors : usable_processors();
        unsigned int blocks;

        if (workers > WORKERS_LIMIT)
                workers = WORKERS_LIMIT;
        blocks = BLOCKS_LEAST + workers * BLOCKS_PER_WORKER;
        if (blocks > affordable)
                blocks = affordable < BLOCKS_LEAST ? BLOCKS_LEAST : (unsigned int)affordable;
        if (workers > blocks - BLOCKS_LEAST + 1)
                workers = blocks - BLOCKS_LEAST + 1;

        writer->pipeline = block_pipeline_new(
                &(struct block_pipeline_config){
                        .fd = writer->output.fd,
                        .start = writer->output.size,
                        .block_size = options->block_size,
                        .workers = workers,
                        .blocks = blocks,
                        .plain_data = options->plain_data,
                        .plain_fragments = options->plain_fragments,
                        .compressor = writer->compressor,
                        .key = &writer->key,
                },
                err);
        return writer->pipeline ? 0 : -1;
}

static int check_options(const struct squashfs_options *options, struct error *err)
{
        uint32_t size = options->block_size;

        if (size < SQFS_MIN_BLOCK_SIZE || size > SQFS_MAX_BLOCK_SIZE || (size & (size - 1)) != 0)
                return error_set(err, EINVAL,
                                 "block size %" PRIu32 " is not a power of two from 4 KiB to 1 MiB",
                                 size);
        return 0;
}

struct squashfs_writer *squashfs_writer_new(int fd, const struct squashfs_options *options,
                                            struct error *err)
{
        auto_squashfs_writer struct squashfs_writer *writer = NULL;

        if (check_options(options, err) < 0)
                return NULL;
        writer = calloc(1, sizeof(*writer));
        if (!writer) {
                error_no_memory(err);
                return NULL;
        }
        writer->options = *options;
        output_init(&writer->output, fd, sizeof(sqfs_super_t));
        if (content_hash_key_init(&writer->key, err) < 0 || create_compressor(writer, err) < 0 ||
            write_compressor_options(writer, err) < 0 || start_pipeline(writer, err) < 0)
                return NULL;
        return TAKE_PTR(writer);
}

void squashfs_writer_free(struct squashfs_writer *writer)
{
        if (!writer)
                return;

        if (writer->block)
                block_pipeline_give_back(writer->pipeline, writer->block);
        if (writer->fragment)
                block_pipeline_give_back(writer->pipeline, writer->fragment);
        block_pipeline_free(writer->pipeline);
        while (writer->files) {
                struct stored_file *file = writer->files;

                writer->files = file->next;
                free(file->blocks);
                free(file);
        }
        duplicates_release(&writer->small_files);
        duplicates_release(&writer->large_sizes);
        sqfs_destroy(writer->compressor);
        sqfs_destroy(writer->plain);
        free(writer);
}

/* ---- small files ---- */

static bool is_small(const struct squashfs_writer *writer, const struct stored_file *file)
{
        return file->size < writer->options.block_size;
}

static void submit_fragment(struct squashfs_writer *writer)
{
        if (!writer->fragment)
                return;
        block_pipeline_submit(writer->pipeline, TAKE_PTR(writer->fragment));
        writer->fragment_index++;
}

/* See to it that the fragment block has room for the file. */
static int prepare_fragment(struct squashfs_writer *writer, const struct stored_file *file,
                            struct error *err)
{
        if (writer->fragment && file->size > writer->options.block_size - writer->fragment->size)
                submit_fragment(writer);
        if (!writer->fragment) {
                writer->fragment = block_pipeline_get(writer->pipeline, err);
                if (!writer->fragment)
                        return -1;
                writer->fragment->kind = BLOCK_FRAGMENT;
        }
        return 0;
}

static void append_small(struct squashfs_writer *writer, const void *data, size_t size,
                         uint64_t offset)
{
        uint8_t *content = writer->fragment->data + writer->fragment->size;

        memset(content + writer->offset, 0, offset - writer->offset);
        if (size > 0)
                memcpy(content + offset, data, size);
}

static int end_small(struct squashfs_writer *writer, struct stored_file *file, struct error *err)
{
        struct block *fragment = writer->fragment;
        const uint8_t *content = fragment->data + fragment->size;
        struct stored_file *earlier = NULL;

        if (content_is_zero(content, file->size)) {
                file->block_count = 1;
                file->blocks = calloc(1, sizeof(*file->blocks));
                return file->blocks ? 0 : error_no_memory(err);
        }
        if (!writer->options.no_duplicates) {
                file->hash = content_hash_of(&writer->key, content, file->size);
                if (duplicates_find_or_add(&writer->small_files, file, &earlier) < 0)
                        return error_no_memory(err);
        }
        if (earlier) {
                file->fragment = earlier->fragment;
                file->fragment_offset = earlier->fragment_offset;
                writer->stats.duplicates++;
                return 0;
        }
        file->fragment = writer->fragment_index;
        file->fragment_offset = fragment->size;
        fragment->size += (uint32_t)file->size;
        return 0;
}

/* ---- files of a block and more ---- */

static int reserve_blocks(struct squashfs_writer *writer, struct stored_file *file,
                          struct error *err)
{
        uint64_t block_size = writer->options.block_size;
        uint64_t count = file->size / block_size + (file->size % block_size != 0);

        if (count > BLOCKS_LIMIT - writer->block_count)
                return error_set(err, EFBIG,
                                 "a file of %" PRIu64 " bytes makes more than %" PRIu64
                                 " blocks in the image (larger blocks, as with -b 1M, allow more)",
                                 file->size, BLOCKS_LIMIT);
        /* Memory from calloc that only holes refer to is never touched. */
        file->blocks = calloc(count, sizeof(*file->blocks));
        if (!file->blocks)
                return error_no_memory(err);
        file->block_count = (uint32_t)count;
        writer->block_count += count;
        return 0;
}

/*
 * The first file of a size is not hashed, because most have no second: hashing all of them took
 * a twentieth of an import. When a second one comes, the first is read back from the image,
 * which is cheap unless it would have to be decompressed.
 */
static int decide_hash(struct squashfs_writer *writer, struct stored_file *file, struct error *err)
{
        if (writer->options.no_duplicates)
                return 0;
        if (writer->options.plain_data &&
            duplicates_find_or_add_size(&writer->large_sizes, &writer->key, file,
                                        &file->first_of_size) < 0)
                return error_no_memory(err);
        file->hashed = !writer->options.plain_data || file->first_of_size;
        return 0;
}

static uint32_t min_u32(uint32_t a, uint64_t b)
{
        return b < a ? (uint32_t)b : a;
}

/* Fill the current block with size bytes of data, or with zeros when data is NULL. */
static int fill_block(struct squashfs_writer *writer, const void *data, uint32_t size,
                      struct error *err)
{
        uint32_t block_size = writer->options.block_size;
        struct block *block = writer->block;

        if (!block) {
                block = writer->block = block_pipeline_get(writer->pipeline, err);
                if (!block)
                        return -1;
                block->kind = BLOCK_DATA;
                block->file = writer->file;
                block->index = (uint32_t)(writer->offset / block_size);
        }
        if (data)
                memcpy(block->data + block->size, data, size);
        else
                memset(block->data + block->size, 0, size);
        block->size += size;
        writer->offset += size;
        if (block->size == block_size || writer->offset == writer->file->size)
                block_pipeline_submit(writer->pipeline, TAKE_PTR(writer->block));
        return 0;
}

/* Go to offset: blocks that lie in the gap as a whole stay zero in the list of blocks. */
static int skip_hole(struct squashfs_writer *writer, uint64_t offset, struct error *err)
{
        uint32_t block_size = writer->options.block_size;

        while (writer->offset < offset) {
                uint32_t at = writer->block ? writer->block->size : 0;
                uint64_t gap = offset - writer->offset;

                if (!writer->block && offset == writer->file->size)
                        writer->offset = offset;
                else if (!writer->block && gap >= block_size)
                        writer->offset += gap - gap % block_size;
                else if (fill_block(writer, NULL, min_u32(block_size - at, gap), err) < 0)
                        return -1;
        }
        return 0;
}

static int append_large(struct squashfs_writer *writer, const uint8_t *data, size_t size,
                        uint64_t offset, struct error *err)
{
        if (skip_hole(writer, offset, err) < 0)
                return -1;
        while (size > 0) {
                uint32_t at = writer->block ? writer->block->size : 0;
                uint32_t part = min_u32(writer->options.block_size - at, size);

                if (fill_block(writer, data, part, err) < 0)
                        return -1;
                data += part;
                size -= part;
        }
        return 0;
}

static int end_large(struct squashfs_writer *writer, struct stored_file *file, struct error *err)
{
        struct block *end = block_pipeline_get(writer->pipeline, err);

        if (!end)
                return -1;
        end->kind = BLOCK_FILE_END;
        end->file = file;
        block_pipeline_submit(writer->pipeline, end);
        return 0;
}

/* ---- files ---- */

int squashfs_writer_begin_file(struct squashfs_writer *writer, struct tree_inode *inode,
                               struct error *err)
{
        struct stored_file *file;

        if (writer->file)
                return error_set(err, EINVAL, "write image: the file before was not ended");
        file = calloc(1, sizeof(*file));
        if (!file)
                return error_no_memory(err);
        file->size = inode->meta.size;
        file->fragment = NO_FRAGMENT;
        file->next = writer->files;
        writer->files = file;

        if (is_small(writer, file)) {
                if (prepare_fragment(writer, file, err) < 0)
                        return -1;
        } else if (reserve_blocks(writer, file, err) < 0 || decide_hash(writer, file, err) < 0) {
                return -1;
        }
        inode->data = file;
        writer->file = file;
        writer->offset = 0;
        return 0;
}

int squashfs_writer_append(struct squashfs_writer *writer, const void *data, size_t size,
                           uint64_t offset, struct error *err)
{
        struct stored_file *file = writer->file;

        if (!file)
                return error_set(err, EINVAL, "write image: content outside a file");
        if (offset < writer->offset)
                return error_set(err, EINVAL,
                                 "content at byte %" PRIu64 " comes after byte %" PRIu64, offset,
                                 writer->offset);
        if (offset > file->size || size > file->size - offset)
                return error_set(err, EMSGSIZE,
                                 "content is longer than the promised %" PRIu64 " bytes",
                                 file->size);

        if (!is_small(writer, file)) {
                if (append_large(writer, data, size, offset, err) < 0)
                        return -1;
        } else {
                append_small(writer, data, size, offset);
                writer->offset = offset + size;
        }
        writer->stats.content_bytes += size;
        return 0;
}

int squashfs_writer_end_file(struct squashfs_writer *writer, struct error *err)
{
        struct stored_file *file = writer->file;

        if (!file)
                return error_set(err, EINVAL, "write image: no file to end");
        if (writer->offset != file->size)
                return error_set(err, EMSGSIZE,
                                 "content has %" PRIu64 " of the promised %" PRIu64 " bytes",
                                 writer->offset, file->size);
        writer->file = NULL;
        if (file->size == 0)
                return 0;
        return is_small(writer, file) ? end_small(writer, file, err) : end_large(writer, file, err);
}

int squashfs_writer_finish(struct squashfs_writer *writer, struct tree *tree,
                           struct squashfs_stats *ret_stats, struct error *err)
{
        if (writer->file)
                return error_set(err, EINVAL, "write image: the last file was not ended");
        if (writer->fragment && writer->fragment->size == 0)
                block_pipeline_give_back(writer->pipeline, TAKE_PTR(writer->fragment));
        submit_fragment(writer);
        if (block_pipeline_drain(writer->pipeline, err) < 0)
                return -1;

        writer->output.size = block_pipeline_position(writer->pipeline);
        writer->stats.duplicates += block_pipeline_duplicates(writer->pipeline);
        if (writer_write_tables(writer, tree, err) < 0)
                return -1;
        if (ret_stats)
                *ret_stats = writer->stats;
        return 0;
}
