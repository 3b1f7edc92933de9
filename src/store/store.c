#include "store/store.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "store/lock.h"
#include "store/store_private.h"
#include "util/cleanup.h"
#include "util/io.h"
#include "util/path.h"

struct store *store_open(const char *path, struct error *err)
{
        auto_store struct store *store = calloc(1, sizeof(*store));

        if (!store) {
                error_no_memory(err);
                return NULL;
        }
        store->dir_fd = store->site_fd = -1;
        store->path = strdup(path);
        if (!store->path) {
                error_no_memory(err);
                return NULL;
        }
        if (path_make_private_dirs(path, 0700, err) < 0) {
                error_prefix(err, "ENROOT_CACHE_PATH");
                return NULL;
        }
        store->dir_fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (store->dir_fd < 0) {
                error_errno(err, "ENROOT_CACHE_PATH: %s", path);
                return NULL;
        }
        return TAKE_PTR(store);
}

void store_close(struct store *store)
{
        if (store->dir_fd >= 0)
                (void)close(store->dir_fd);
        if (store->site_fd >= 0)
                (void)close(store->site_fd);
        free(store->path);
        free(store);
}

DIR *store_open_dir(const struct store *store)
{
        int fd = openat(store->dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        DIR *dir = fd < 0 ? NULL : fdopendir(fd);

        if (!dir && fd >= 0)
                (void)close(fd);
        return dir;
}

int store_blob_name(const char *digest, char name[STORE_NAME_SIZE], struct error *err)
{
        if (!image_digest_valid(digest))
                return error_set(err, EINVAL, "%.100s is not a digest", digest);
        (void)snprintf(name, STORE_NAME_SIZE, "sha256-%s", digest + strlen("sha256:"));
        return 0;
}

const char *store_name_digest(const char *name, char ret_digest[IMAGE_DIGEST_SIZE])
{
        char digest[IMAGE_DIGEST_SIZE];

        (void)snprintf(digest, sizeof(digest), "%s", name);
        if (strncmp(digest, "sha256-", 7) != 0)
                return NULL;
        digest[6] = ':';
        if (!image_digest_valid(digest))
                return NULL;
        memcpy(ret_digest, digest, sizeof(digest));
        return name + strlen(digest);
}

const char *store_leftover_digest(const char *name, char ret_digest[IMAGE_DIGEST_SIZE])
{
        const char *rest = name[0] == '.' ? store_name_digest(name + 1, ret_digest) : NULL;

        if (!rest || *rest != '.' ||
            strncmp(rest, STORE_IMAGE_SUFFIX ".", strlen(STORE_IMAGE_SUFFIX ".")) == 0)
                return NULL;
        return rest;
}

int store_add_site(struct store *store, const char *path, struct error *err)
{
        store->site_fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (store->site_fd < 0)
                return error_errno(err, "ENROOT_SITE_CACHE_PATH: %s", path);
        return 0;
}

int store_dir_fd(const struct store *store)
{
        return store->dir_fd;
}

const char *store_path(const struct store *store)
{
        return store->path;
}

int store_check_space(const struct store *store, uint64_t bytes, struct error *err)
{
        return io_check_space(store->dir_fd, store->path, bytes,
                              "make room there (\"enroot cache gc\"), or set ENROOT_CACHE_PATH to "
                              "a place with more of it",
                              err);
}

/* Open a regular file of a directory without blocking on a FIFO: -1 with errno. */
static int open_file(int dir_fd, const char *name, struct stat *st)
{
        auto_close int fd = openat(dir_fd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);

        if (fd < 0 || fstat(fd, st) < 0)
                return -1;
        if (!S_ISREG(st->st_mode)) {
                errno = ENOENT;
                return -1;
        }
        return TAKE_FD(fd);
}

int store_open_used(struct store *store, const char *name, struct stat *st, struct error *err)
{
        static const struct timespec now[2] = { { .tv_nsec = UTIME_OMIT },
                                                { .tv_nsec = UTIME_NOW } };
        int fd = open_file(store->dir_fd, name, st);

        if (fd < 0 && errno != ENOENT && errno != ELOOP)
                return error_errno(err, "ENROOT_CACHE_PATH: %s/%s", store->path, name);
        if (fd < 0)
                return error_set(err, ENOENT, "%s is not in the cache", name);
        /* The time of the last use, which relatime and noatime would not keep. */
        (void)futimens(fd, now);
        return fd;
}

int store_get(struct store *store, const char *digest, uint64_t size, struct error *err)
{
        auto_close int fd = -1;
        char name[STORE_NAME_SIZE];
        struct stat st;

        if (store_blob_name(digest, name, err) < 0)
                return -1;
        fd = store_open_used(store, name, &st, err);
        if (fd < 0 && err->code != ENOENT)
                return -1;
        if (fd >= 0 && (uint64_t)st.st_size == size)
                return TAKE_FD(fd);
        if (store->site_fd >= 0) {
                auto_close int site_fd = open_file(store->site_fd, name, &st);

                if (site_fd >= 0 && (uint64_t)st.st_size == size)
                        return TAKE_FD(site_fd);
        }
        return error_set(err, ENOENT, "%s is not in the cache", digest);
}
