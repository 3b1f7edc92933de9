/* Files already stored, to be found again by their content. */
#pragma once

#include "squashfs/block_pipeline.h"
#include "squashfs/hash_index.h"

struct duplicates {
        struct stored_file **files; /* borrowed */
        uint32_t count, capacity;
        struct hash_index index;
};

#define DUPLICATES_INIT { .files = NULL }

void duplicates_release(struct duplicates *duplicates);

/*
 * Find the first file with the size of this one, or remember this one. Returns as the next
 * function, with which no set is shared.
 */
int duplicates_find_or_add_size(struct duplicates *sizes, const struct content_hash_key *key,
                                struct stored_file *file, struct stored_file **ret_first);

/*
 * Find an earlier file with the size and hash of this one, or remember this one.
 * *ret_earlier is NULL in the second case. Returns 0, or -1 without memory.
 */
int duplicates_find_or_add(struct duplicates *duplicates, struct stored_file *file,
                           struct stored_file **ret_earlier);
