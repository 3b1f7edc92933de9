/*
 * A keyed hash of names. Names come from images of strangers: with a key that
 * they cannot know they cannot make names collide, and merging stays linear.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

struct name_hash_key {
        uint64_t words[2];
};

/* A random key. */
struct name_hash_key name_hash_new_key(void);

/* SipHash-1-3 (Aumasson and Bernstein, 2012) of a number and the bytes of a name. */
uint64_t name_hash(const struct name_hash_key *key, uint64_t number, const char *name,
                   size_t length);
