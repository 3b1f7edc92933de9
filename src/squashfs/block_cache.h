/*
 * A bounded cache of equally large blocks, shared by threads: decompressed
 * metadata and decompressed file data.
 *
 * A block is loaded by the first thread that asks for it while others that want
 * the same one wait; nothing is decompressed twice at the same time. A block that
 * somebody holds is never evicted, so the cache exceeds its limit by what is in
 * use, and by no more.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "util/error.h"

/* The two together identify a block. */
struct block_key {
        uint64_t position;  /* on disk */
        uint32_t size_word; /* as stored: on-disk length and flags; 0 for metadata */
};

struct cached_block {
        struct block_key key;
        uint32_t size;      /* bytes of content, at most the cache's block size */
        uint32_t disk_size; /* bytes on disk, with a header where there is one */
        uint8_t *data;

        /* The cache's own, under its lock. */
        enum {
                BLOCK_LOADING,
                BLOCK_READY,
                BLOCK_FAILED,
        } state;
        unsigned int users;
        bool spent; /* consumed by its last user */
        struct cached_block *hash_next;
        struct cached_block *older, *newer; /* while nobody uses it */
};

struct block_cache;

/*
 * load fills block->data, .size and .disk_size for block->key; it returns 0, or
 * -1 with *err. It is called without a lock held.
 */
typedef int (*block_load)(void *context, struct cached_block *block, struct error *err);

/* NULL with *err on failure. limit is in bytes; a few blocks are always kept. */
struct block_cache *block_cache_new(size_t block_size, size_t limit, block_load load, void *context,
                                    struct error *err);

/* Keep no more than so many blocks that nobody uses from now on (but a few, as ever). */
void block_cache_limit(struct block_cache *cache, size_t blocks);

/* No block may be in use. Accepts NULL. */
void block_cache_free(struct block_cache *cache);

/* Get hold of a block. NULL with *err when it cannot be loaded. */
struct cached_block *block_cache_get(struct block_cache *cache, struct block_key key,
                                     struct error *err);

/*
 * Let go of a block. consumed says that it was read to its end and is unlikely to
 * be wanted again: its memory, still in the processor's cache, is used up first.
 */
void block_cache_put(struct block_cache *cache, struct cached_block *block, bool consumed);
