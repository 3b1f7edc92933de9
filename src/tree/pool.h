/*
 * Memory for very many small things of one tree: elements never move, are
 * numbered in the order in which they were added, and are freed together.
 */
#pragma once

#include <stddef.h>

struct pool {
        size_t element_size;
        void **chunks;
        size_t chunk_count;
        size_t count; /* elements added so far */
};

#define POOL_INIT(type)                                                                            \
        {                                                                                          \
                .element_size = sizeof(type)                                                       \
        }

/* A new element, all zeros, or NULL without memory. */
void *pool_add(struct pool *pool);

/* The element with the number index, which is below count. */
void *pool_at(const struct pool *pool, size_t index);

/* Free all elements; the pool can be used again. */
void pool_release(struct pool *pool);

/* Short strings, packed. */
struct text_pool {
        struct text_chunk *newest;
        size_t left; /* bytes free in it */
};

#define TEXT_POOL_INIT                                                                             \
        {                                                                                          \
                .newest = NULL                                                                     \
        }
#define TEXT_POOL_LONGEST 4096

/* A NUL-terminated copy of at most TEXT_POOL_LONGEST bytes; NULL without memory. */
char *text_pool_copy(struct text_pool *pool, const char *text, size_t length);
void text_pool_release(struct text_pool *pool);
