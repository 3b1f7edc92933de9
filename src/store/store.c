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
#include "util/path.h"

struct store *store_open(const char *path, struct error *err)
{
        auto_store struct store *store = calloc(1, sizeof(*store));

        if (!store) {
                error_no_memory(err);
                return NULL;
        }
        store->dir_fd = -1;
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
        free(store->path);
        free(store);
}

int store_blob_name(const char *digest, char name[STORE_NAME_SIZE], struct error *err)
{
        if (!image_digest_valid(digest))
                return error_set(err, EINVAL, "%.100s is not a digest", digest);
        (void)snprintf(name, STORE_NAME_SIZE, "sha256-%s", digest + strlen("sha256:"));
        return 0;
}

int store_get(struct store *store, const char *digest, uint64_t size, struct error *err)
{
        auto_close int fd = -1;
        char name[STORE_NAME_SIZE];
        struct stat st;

        if (store_blob_name(digest, name, err) < 0)
                return -1;
        fd = openat(store->dir_fd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
        if (fd < 0 && errno != ENOENT && errno != ELOOP)
                return error_errno(err, "ENROOT_CACHE_PATH: %s/%s", store->path, name);
        if (fd < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) || (uint64_t)st.st_size != size)
                return error_set(err, ENOENT, "%s is not in the cache", digest);
        return TAKE_FD(fd);
}
