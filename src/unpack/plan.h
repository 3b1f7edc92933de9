/*
 * What is to be extracted: the directories of an image, parents first, and a list
 * of everything else in the order in which its content lies in the image.
 *
 * Directories may be taken from a plan by one thread while another builds it; all else
 * is for when it is complete.
 */
#pragma once

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "squashfs/squashfs.h"
#include "util/error.h"
#include "util/strbuf.h"

/*
 * Directories below each other. No path of the kernel's PATH_MAX leads as deep, and
 * a crafted image must not exhaust the stack of whoever walks the result.
 */
#define PLAN_DEPTH_MAX 2000

struct plan_directory {
        struct plan_directory *parent; /* NULL for the root */
        squashfs_ref ref;
        uint32_t number; /* 0 for the root; larger than the parent's */
        uint32_t depth;
        uint16_t mode;
        int fd; /* -1: not kept open (dir_cache.h) */
        char name[];
};

struct plan_item {
        struct plan_directory *directory;
        squashfs_ref ref;
        uint64_t position; /* of the content in the image */
        uint64_t size;
        int64_t mtime;
        uint32_t uid, gid;
        enum entry_type type;
        uint16_t mode;
        bool has_xattrs;
        bool is_extracted;
        char name[];
};

struct plan {
        struct plan_directory **directories; /* [0] is the root */
        size_t directory_count, directory_capacity;
        pthread_mutex_t lock; /* of the above */
        pthread_cond_t grown;
        bool is_complete;
        struct plan_item **items; /* hard links to one inode follow each other */
        size_t item_count, item_capacity;
};

#define PLAN_INIT                                                                                  \
        {                                                                                          \
                .directories = NULL, .lock = PTHREAD_MUTEX_INITIALIZER,                            \
                .grown = PTHREAD_COND_INITIALIZER                                                  \
        }

/*
 * Append a directory; its parent is one of the plan, NULL for the root. NULL with *err on
 * failure.
 */
struct plan_directory *plan_add_directory(struct plan *plan, struct plan_directory *parent,
                                          squashfs_ref ref, uint16_t mode, const char *name,
                                          struct error *err);

/* Walk the image. The plan is complete afterwards in any case. Returns 0, or -1 with *err. */
int plan_build(struct plan *plan, struct squashfs_image *image, struct error *err);

/*
 * Wait for directories from number first on. Returns how many of them, up to size, are in
 * ret; 0 when there are no more. They stay the plan's.
 */
size_t plan_wait_directories(struct plan *plan, size_t first, struct plan_directory **ret,
                             size_t size);
void plan_release(struct plan *plan);
#define auto_plan __attribute__((cleanup(plan_release)))

/* Put "ACTION PATH: " in front of the message; name may be NULL for the directory itself. */
int plan_error(struct error *err, const char *action, const struct plan_directory *directory,
               const char *name);
