#include "squashfs/block_cache.h"

#include <pthread.h>
#include <stdlib.h>

/* Kept whatever the limit says, so that every thread finds a block to work with. */
#define BLOCKS_MIN 16

/*
 * Invariants: a block is in the hash table unless its load failed; it is in the
 * list exactly while users is 0; count is the number of blocks that exist.
 */
struct block_cache {
        pthread_mutex_t lock;
        pthread_cond_t loaded;
        block_load load;
        void *context;
        size_t block_size;
        size_t count, limit; /* blocks */
        size_t bucket_mask;
        struct cached_block **buckets;
        struct cached_block list; /* list.newer is the oldest block, list.older the newest */
};

struct block_cache *block_cache_new(size_t block_size, size_t limit, block_load load, void *context,
                                    struct error *err)
{
        struct block_cache *cache = calloc(1, sizeof(*cache));
        size_t blocks = limit / block_size, buckets = 1;

        if (!cache) {
                error_no_memory(err);
                return NULL;
        }
        if (blocks < BLOCKS_MIN)
                blocks = BLOCKS_MIN;
        while (buckets < blocks * 2)
                buckets *= 2;
        cache->buckets = calloc(buckets, sizeof(*cache->buckets));
        if (!cache->buckets) {
                free(cache);
                error_no_memory(err);
                return NULL;
        }
        pthread_mutex_init(&cache->lock, NULL);
        pthread_cond_init(&cache->loaded, NULL);
        cache->load = load;
        cache->context = context;
        cache->block_size = block_size;
        cache->limit = blocks;
        cache->bucket_mask = buckets - 1;
        cache->list.newer = cache->list.older = &cache->list;
        return cache;
}

void block_cache_limit(struct block_cache *cache, size_t blocks)
{
        pthread_mutex_lock(&cache->lock);
        cache->limit = blocks < BLOCKS_MIN ? BLOCKS_MIN : blocks;
        pthread_mutex_unlock(&cache->lock);
}

void block_cache_free(struct block_cache *cache)
{
        if (!cache)
                return;
        for (size_t i = 0; i <= cache->bucket_mask; i++) {
                for (struct cached_block *block = cache->buckets[i], *next; block; block = next) {
                        next = block->hash_next;
                        free(block);
                }
        }
        pthread_cond_destroy(&cache->loaded);
        pthread_mutex_destroy(&cache->lock);
        free(cache->buckets);
        free(cache);
}

static struct cached_block **bucket_of(struct block_cache *cache, struct block_key key)
{
        /* Fibonacci hashing; positions of neighbours differ in their low bits only. */
        uint64_t hash = key.position * UINT64_C(0x9e3779b97f4a7c15);

        return &cache->buckets[(hash >> 32) & cache->bucket_mask];
}

static struct cached_block *find(struct block_cache *cache, struct block_key key)
{
        for (struct cached_block *block = *bucket_of(cache, key); block; block = block->hash_next) {
                if (block->key.position == key.position && block->key.size_word == key.size_word)
                        return block;
        }
        return NULL;
}

static void unhash(struct block_cache *cache, struct cached_block *block)
{
        struct cached_block **link = bucket_of(cache, block->key);

        while (*link != block)
                link = &(*link)->hash_next;
        *link = block->hash_next;
}

static void unlist(struct cached_block *block)
{
        block->older->newer = block->newer;
        block->newer->older = block->older;
}

static void list_after(struct cached_block *older, struct cached_block *block)
{
        block->older = older;
        block->newer = older->newer;
        older->newer->older = block;
        older->newer = block;
}

/*
 * A block to fill: a spent one, else new memory, else the one unused for the
 * longest time. So reading a large file through takes a few blocks, not the limit.
 */
static struct cached_block *obtain(struct block_cache *cache)
{
        struct cached_block *block = cache->list.newer;

        if (block != &cache->list && (block->spent || cache->count >= cache->limit)) {
                unlist(block);
                unhash(cache, block);
                return block;
        }
        block = malloc(sizeof(*block) + cache->block_size);
        if (block) {
                block->data = (uint8_t *)(block + 1);
                cache->count++;
        }
        return block;
}

/* Give the memory of blocks above the limit back once nobody uses them. */
static void discard(struct block_cache *cache, struct cached_block *block)
{
        cache->count--;
        free(block);
}

/* With the lock held, which is let go of while the block is loaded. */
static struct cached_block *load_block(struct block_cache *cache, struct block_key key,
                                       struct error *err)
{
        struct cached_block *block = obtain(cache);
        struct cached_block **bucket = bucket_of(cache, key);
        int status;

        if (!block) {
                error_no_memory(err);
                return NULL;
        }
        block->key = key;
        block->state = BLOCK_LOADING;
        block->users = 1;
        block->hash_next = *bucket;
        *bucket = block;

        pthread_mutex_unlock(&cache->lock);
        status = cache->load(cache->context, block, err);
        pthread_mutex_lock(&cache->lock);

        block->state = status < 0 ? BLOCK_FAILED : BLOCK_READY;
        pthread_cond_broadcast(&cache->loaded);
        if (status == 0)
                return block;
        unhash(cache, block);
        if (--block->users == 0)
                discard(cache, block);
        return NULL;
}

/* With the lock held. NULL when the thread that loads it does not succeed. */
static struct cached_block *join_block(struct block_cache *cache, struct cached_block *block)
{
        if (block->users++ == 0)
                unlist(block);
        while (block->state == BLOCK_LOADING)
                pthread_cond_wait(&cache->loaded, &cache->lock);
        if (block->state == BLOCK_READY)
                return block;
        if (--block->users == 0)
                discard(cache, block);
        return NULL;
}

struct cached_block *block_cache_get(struct block_cache *cache, struct block_key key,
                                     struct error *err)
{
        struct cached_block *block;

        pthread_mutex_lock(&cache->lock);
        block = find(cache, key);
        if (block)
                block = join_block(cache, block);
        /* Where another thread failed, this one tries, too, for an error of its own. */
        if (!block)
                block = load_block(cache, key, err);
        pthread_mutex_unlock(&cache->lock);
        return block;
}

void block_cache_put(struct block_cache *cache, struct cached_block *block, bool consumed)
{
        pthread_mutex_lock(&cache->lock);
        if (--block->users == 0) {
                if (cache->count > cache->limit) {
                        unhash(cache, block);
                        discard(cache, block);
                } else {
                        block->spent = consumed;
                        list_after(consumed ? &cache->list : cache->list.older, block);
                }
        }
        pthread_mutex_unlock(&cache->lock);
}
