/*
 * Open descriptors of the directories that are being filled, a bounded number of
 * them, for one thread.
 */
#pragma once

#include "unpack/plan.h"

struct dir_slot {
        const struct plan_directory *directory; /* NULL: the slot is empty */
        int fd;
};

struct dir_cache {
        int root_fd; /* borrowed */
        size_t slot_count;
        struct dir_slot *slots; /* a directory has its place by its number */
};

#define DIR_CACHE_INIT                                                                             \
        {                                                                                          \
                .root_fd = -1, .slots = NULL                                                       \
        }

int dir_cache_init(struct dir_cache *cache, int root_fd, size_t slots, struct error *err);
void dir_cache_release(struct dir_cache *cache);

/*
 * A descriptor for a directory of the plan, which stays the cache's and is valid
 * until the next call. No component is followed if it is a link. Returns -1 with
 * *err on failure.
 */
int dir_cache_open(struct dir_cache *cache, const struct plan_directory *directory,
                   struct error *err);
