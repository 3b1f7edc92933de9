#include "tree/pool.h"

#include <stdlib.h>
#include <string.h>

#define POOL_CHUNK_ELEMENTS 1024 /* a power of two: numbers are split by shifting */
#define TEXT_CHUNK_SIZE     65536

void *pool_add(struct pool *pool)
{
        if (pool->count == pool->chunk_count * POOL_CHUNK_ELEMENTS) {
                void *chunk;

                /* The list of chunks doubles whenever its length is a power of two. */
                if ((pool->chunk_count & (pool->chunk_count - 1)) == 0) {
                        size_t capacity = pool->chunk_count ? 2 * pool->chunk_count : 1;
                        void **chunks = reallocarray(pool->chunks, capacity, sizeof(*chunks));

                        if (!chunks)
                                return NULL;
                        pool->chunks = chunks;
                }
                chunk = calloc(POOL_CHUNK_ELEMENTS, pool->element_size);
                if (!chunk)
                        return NULL;
                pool->chunks[pool->chunk_count++] = chunk;
        }
        pool->count++;
        return pool_at(pool, pool->count - 1);
}

void *pool_at(const struct pool *pool, size_t index)
{
        return (char *)pool->chunks[index / POOL_CHUNK_ELEMENTS] +
               index % POOL_CHUNK_ELEMENTS * pool->element_size;
}

void pool_release(struct pool *pool)
{
        for (size_t i = 0; i < pool->chunk_count; i++)
                free(pool->chunks[i]);
        free(pool->chunks);
        *pool = (struct pool){ .element_size = pool->element_size };
}

struct text_chunk {
        struct text_chunk *older;
        char bytes[TEXT_CHUNK_SIZE];
};

char *text_pool_copy(struct text_pool *pool, const char *text, size_t length)
{
        char *copy;

        if (pool->left < length + 1) {
                struct text_chunk *chunk = malloc(sizeof(*chunk));

                if (!chunk)
                        return NULL;
                chunk->older = pool->newest;
                pool->newest = chunk;
                pool->left = sizeof(chunk->bytes);
        }
        copy = pool->newest->bytes + sizeof(pool->newest->bytes) - pool->left;
        memcpy(copy, text, length);
        copy[length] = '\0';
        pool->left -= length + 1;
        return copy;
}

void text_pool_release(struct text_pool *pool)
{
        while (pool->newest) {
                struct text_chunk *older = pool->newest->older;

                free(pool->newest);
                pool->newest = older;
        }
        pool->left = 0;
}
