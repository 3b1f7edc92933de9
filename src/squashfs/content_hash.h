/*
 * A keyed 122-bit hash that tells contents apart, for deduplication without reading
 * back what was written.
 *
 * Images are hostile input: with a public hash, somebody could craft two files that
 * collide and so give one file the content of another. Here the message is a
 * polynomial over the field of 2^61 - 1, evaluated at two secret random points. Two
 * different messages of n words agree at no more than n of the 2^61 points, whatever
 * they are (the Carter-Wegman argument), so for two different 1 MiB blocks, chosen by
 * somebody who does not know the key, the chance is below 2^-86. The key never leaves
 * the process and differs in each, while equality, and with it the image, does not
 * depend on it.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "util/error.h"

/* Points, and words added at a time. An enum, since "#pragma GCC unroll" takes no macro. */
enum {
        CONTENT_HASH_POINTS = 2,
        CONTENT_HASH_LANES = 8,
};

struct content_hash {
        uint64_t value[CONTENT_HASH_POINTS];
};

struct content_hash_key {
        /* powers[i] is the point to the power of CONTENT_HASH_LANES - i */
        uint64_t powers[CONTENT_HASH_POINTS][CONTENT_HASH_LANES];
        uint64_t sequence_points[CONTENT_HASH_POINTS];
};

/* Draw a key from the kernel. Returns 0, or -1 with *err. */
int content_hash_key_init(struct content_hash_key *key, struct error *err);

/* The hash of size bytes. Only hashes of contents of the same length may be compared. */
struct content_hash content_hash_of(const struct content_hash_key *key, const void *data,
                                    size_t size);

/*
 * Extend the hash of a sequence (all zero at first) by the block at a position. Points
 * of their own are used: the blocks' hashes depend on the others.
 */
void content_hash_extend(const struct content_hash_key *key, struct content_hash *sequence,
                         uint64_t position, const struct content_hash *block);

static inline bool content_hash_equal(const struct content_hash *a, const struct content_hash *b)
{
        return a->value[0] == b->value[0] && a->value[1] == b->value[1];
}

/* Whether all size bytes are zero. */
bool content_is_zero(const void *data, size_t size);
