#include "store/lock.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>

#include "store/partial.h"
#include "util/cleanup.h"

/*
 * How often a lock may turn out to be removed by its last holder in the moment in
 * which it was taken. More often means that the file system's inode numbers do not
 * stay the same, and then nothing can be said about locks.
 */
#define LOCK_TRIES 100

/* Whether the name still belongs to the file that was locked, and not to a later one. */
static bool is_current(const struct lock *lock, int fd)
{
        struct stat held, named;

        return fstat(fd, &held) == 0 &&
               fstatat(lock->dir_fd, lock->name, &named, AT_SYMLINK_NOFOLLOW) == 0 &&
               held.st_ino == named.st_ino && held.st_dev == named.st_dev;
}

int lock_take(struct lock *lock, const struct store *store, const char *blob_name,
              struct error *err)
{
        *lock = (struct lock){ .dir_fd = store->dir_fd, .fd = -1 };
        (void)snprintf(lock->name, sizeof(lock->name), ".%s" LOCK_SUFFIX, blob_name);
        for (int i = 0; i < LOCK_TRIES; i++) {
                auto_close int fd = openat(store->dir_fd, lock->name,
                                           O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);

                if (fd < 0)
                        return error_errno(err, "ENROOT_CACHE_PATH: %s/%s", store->path,
                                           lock->name);
                if (flock(fd, LOCK_EX | LOCK_NB) < 0) {
                        if (errno == EWOULDBLOCK)
                                return 0;
                        if (errno == EINTR)
                                continue;
                        /* ENOSYS, EOPNOTSUPP, ENOLCK: there are no locks here. */
                        (void)unlinkat(store->dir_fd, lock->name, 0);
                        return 1;
                }
                if (is_current(lock, fd)) {
                        lock->fd = TAKE_FD(fd);
                        return 1;
                }
        }
        return 1;
}

void lock_release(struct lock *lock)
{
        if (lock->fd < 0)
                return;
        /* Removed while it is held: whoever opened it before sees that it is not current. */
        (void)unlinkat(lock->dir_fd, lock->name, 0);
        (void)close(TAKE_FD(lock->fd));
}

void lock_sweep(const struct store *store)
{
        auto_closedir DIR *dir = store_open_dir(store);
        struct dirent *entry;

        while (dir && (entry = readdir(dir))) {
                auto_lock struct lock lock = LOCK_INIT;
                char digest[IMAGE_DIGEST_SIZE], blob_name[STORE_NAME_SIZE];
                struct error ignored = ERROR_INIT;

                if (!store_leftover_digest(entry->d_name, digest) ||
                    store_blob_name(digest, blob_name, &ignored) < 0 ||
                    partial_is_recent(store, entry->d_name) ||
                    lock_take(&lock, store, blob_name, &ignored) <= 0 || lock.fd < 0)
                        continue;
                if (strcmp(entry->d_name, lock.name) != 0)
                        (void)unlinkat(store->dir_fd, entry->d_name, 0);
        }
}
