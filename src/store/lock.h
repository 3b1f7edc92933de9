/*
 * The lock of whoever fetches a blob: flock on ".sha256-HEX.lock". It goes with
 * its process, however that ends. The lock only saves work; that a blob is whole
 * is due to its being renamed when it is.
 */
#pragma once

#include "store/store_private.h"

#define LOCK_SUFFIX ".lock"

/* ".sha256-HEX.lock" */
#define LOCK_NAME_SIZE (1 + STORE_NAME_SIZE + 5)

struct lock {
        int dir_fd; /* of the store; borrowed */
        int fd;     /* -1: not held, or the file system has no locks */
        char name[LOCK_NAME_SIZE];
};

#define LOCK_INIT                                                                                  \
        {                                                                                          \
                .fd = -1                                                                           \
        }

/*
 * Take the lock of the blob with that file name, without waiting. Returns 1; 0
 * when somebody else holds it; -1 with *err. A file system without flock grants
 * it to everybody (with fd -1).
 */
int lock_take(struct lock *lock, const struct store *store, const char *blob_name,
              struct error *err);

/* Release and remove the lock. Safe when it is not held. */
void lock_release(struct lock *lock);
#define auto_lock auto_cleanup(lock_release)

/*
 * Remove the temporary files and locks that killed processes left behind, and old
 * parts (partial.h). What belongs to a live process is locked by it, and stays.
 */
void lock_sweep(const struct store *store);
