#include "util/owner_access.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "util/cleanup.h"
#include "util/path.h"

/* chmod of what an O_PATH descriptor refers to, which fchmod does not take. */
static int change_mode(int fd, mode_t mode)
{
        char self[64];

        (void)snprintf(self, sizeof(self), "/proc/self/fd/%d", fd);
        return chmod(self, mode & 07777);
}

/*
 * Add permissions to what is at path, if it is of the type; returns an O_PATH descriptor
 * and the mode before, or -1 with errno.
 */
static int add_permissions(int root_fd, const char *path, mode_t type, mode_t permissions,
                           mode_t *ret_before)
{
        auto_close int fd = path_open_in_root(root_fd, path, O_PATH | O_NOFOLLOW, 0);
        struct stat st;

        if (fd < 0 || fstat(fd, &st) < 0)
                return -1;
        if ((st.st_mode & S_IFMT) != type) {
                errno = EACCES;
                return -1;
        }
        if (change_mode(fd, st.st_mode | permissions) < 0) {
                errno = EACCES; /* the reason that the caller had before */
                return -1;
        }
        *ret_before = st.st_mode;
        return TAKE_FD(fd);
}

int owner_access_open_file(struct owner_access *access, const char *path)
{
        /* O_NONBLOCK: what has become a FIFO since it was looked at must not block. */
        const int flags = O_RDONLY | O_NOFOLLOW | O_NONBLOCK;
        int fd = path_open_in_root(access->root_fd, path, flags, 0);
        auto_close int handle = -1;
        mode_t before;
        int saved;

        if (fd >= 0 || errno != EACCES)
                return fd;
        handle = add_permissions(access->root_fd, path, S_IFREG, 0400, &before);
        if (handle < 0)
                return -1;
        fd = path_open_in_root(access->root_fd, path, flags, 0);
        saved = errno;
        (void)change_mode(handle, before);
        errno = saved;
        return fd;
}

static int remember(struct owner_access *access, const char *path, mode_t mode)
{
        char *copy = strdup(path);

        if (access->count == access->capacity) {
                size_t capacity = access->capacity ? 2 * access->capacity : 16;
                void *larger = reallocarray(access->changed, capacity, sizeof(*access->changed));

                if (larger) {
                        access->changed = larger;
                        access->capacity = capacity;
                }
        }
        if (!copy || access->count == access->capacity) {
                free(copy);
                errno = ENOMEM;
                return -1;
        }
        access->changed[access->count].path = copy;
        access->changed[access->count++].mode = mode;
        return 0;
}

int owner_access_open_dir(struct owner_access *access, const char *path)
{
        const int flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW;
        auto_close int fd = path_open_in_root(access->root_fd, path, flags, 0);
        auto_close int handle = -1;
        mode_t before;

        /* One that can be read but not searched shows names that cannot be reached. */
        if (fd >= 0 && faccessat(fd, ".", F_OK, 0) == 0)
                return TAKE_FD(fd);
        if (errno != EACCES)
                return -1;
        handle = add_permissions(access->root_fd, path, S_IFDIR, 0700, &before);
        if (handle < 0)
                return -1;
        if (remember(access, path, before) < 0) {
                (void)change_mode(handle, before);
                return -1;
        }
        return path_open_in_root(access->root_fd, path, flags, 0);
}

void owner_access_release(struct owner_access *access)
{
        /* The inner ones first: a path leads through the outer ones. */
        while (access->count > 0) {
                size_t last = --access->count;
                auto_close int fd = path_open_in_root(access->root_fd, access->changed[last].path,
                                                      O_PATH | O_NOFOLLOW | O_DIRECTORY, 0);

                if (fd >= 0)
                        (void)change_mode(fd, access->changed[last].mode);
                free(access->changed[last].path);
        }
        free(TAKE_PTR(access->changed));
        access->capacity = 0;
}
