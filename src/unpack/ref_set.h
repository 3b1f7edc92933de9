/*
 * A set of inode references, for finding directories that are met twice.
 */
#pragma once

#include <stddef.h>

#include "squashfs/squashfs.h"

struct ref_set {
        squashfs_ref *slots;    /* reference + 1; 0 is an empty slot */
        size_t count, capacity; /* capacity is a power of two, or 0 */
};

#define REF_SET_INIT                                                                               \
        {                                                                                          \
                .slots = NULL                                                                      \
        }

/* Returns 1 when the reference is new, 0 when it was there already, -1 without memory. */
int ref_set_add(struct ref_set *set, squashfs_ref ref);
void ref_set_release(struct ref_set *set);
