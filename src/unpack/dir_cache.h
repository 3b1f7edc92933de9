/*
 * Open descriptors of the directories that are being filled. The first ones of a plan are
 * kept open for all threads, as many as the limit of open files allows; of the others
 * each thread has a bounded number.
 */
#pragma once

#include <sys/resource.h>

#include "unpack/plan.h"

struct dir_slot {
        const struct plan_directory *directory; /* NULL: the slot is empty */
        int fd;
};

struct dir_cache {
        int root_fd;   /* borrowed */
        uint32_t kept; /* directories of smaller numbers are kept open */
        size_t slot_count;
        struct dir_slot *slots; /* a directory has its place by its number */
};

#define DIR_CACHE_INIT                                                                             \
        {                                                                                          \
                .root_fd = -1, .slots = NULL                                                       \
        }

int dir_cache_init(struct dir_cache *cache, int root_fd, size_t slots, uint32_t kept,
                   struct error *err);
void dir_cache_release(struct dir_cache *cache);

/*
 * A descriptor for a directory of the plan, which stays the cache's and is valid
 * until the next call. No component is followed if it is a link. Returns -1 with
 * *err on failure.
 */
int dir_cache_open(struct dir_cache *cache, const struct plan_directory *directory,
                   struct error *err);

/*
 * Open a directory for all threads, if its number says that it is kept: its descriptor is
 * the plan's and valid as long as that. While this thread alone opens directories. Returns
 * 0, or -1 with *err.
 */
int dir_cache_keep(struct dir_cache *cache, struct plan_directory *directory, struct error *err);

/* The limit of open files as it was found. */
struct open_files {
        struct rlimit before;
        bool is_raised;
};

/*
 * Raise this process' limit of open files as far as directories are kept open at most (or
 * the hard limit is), until open_files_restore. Returns how many may be; fd is any open one.
 */
uint32_t open_files_raise(struct open_files *files, int fd);
void open_files_restore(struct open_files *files);
#define auto_open_files auto_cleanup(open_files_restore)
