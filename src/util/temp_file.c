#include "util/temp_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "util/cleanup.h"

char *temp_file_random_name(const char *name)
{
        unsigned int random = 0;
        char *text = NULL;

        if (getrandom(&random, sizeof(random), GRND_NONBLOCK) != sizeof(random))
                random = (unsigned int)getpid();
        if (asprintf(&text, ".%.200s.%06x", name, random & 0xffffff) < 0)
                return NULL;
        return text;
}

/* Give an unnamed file a name: /proc is the only way that needs no capability. */
static int link_unnamed(int fd, int dir_fd, const char *name)
{
        char self[64];

        (void)snprintf(self, sizeof(self), "/proc/self/fd/%d", fd);
        return linkat(AT_FDCWD, self, dir_fd, name, AT_SYMLINK_FOLLOW);
}

int temp_file_create(struct temp_file *temp, int dir_fd, const char *name, mode_t mode,
                     struct error *err)
{
        int fd = openat(dir_fd, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, mode);

        *temp = (struct temp_file){ .fd = fd, .dir_fd = dir_fd, .mode = mode };
        if (fd >= 0)
                return 0;
        /* EISDIR and EOPNOTSUPP: no O_TMPFILE here. ENOENT: a kernel that never heard of it. */
        if (errno != EISDIR && errno != EOPNOTSUPP && errno != ENOENT && errno != EINVAL)
                return error_errno(err, "cannot create");

        for (int i = 0; i < TEMP_NAME_TRIES; i++) {
                auto_free char *candidate = temp_file_random_name(name);

                if (!candidate)
                        return error_no_memory(err);
                fd = openat(dir_fd, candidate, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, mode);
                if (fd >= 0) {
                        temp->fd = fd;
                        temp->name = TAKE_PTR(candidate);
                        return 0;
                }
                if (errno != EEXIST)
                        break;
        }
        return error_errno(err, "cannot create");
}

static int publish_replacing(struct temp_file *temp, const char *name)
{
        for (int i = 0; !temp->name; i++) {
                auto_free char *candidate = temp_file_random_name(name);

                if (!candidate) {
                        errno = ENOMEM;
                        return -1;
                }
                if (link_unnamed(temp->fd, temp->dir_fd, candidate) == 0)
                        temp->name = TAKE_PTR(candidate);
                else if (errno != EEXIST || i == TEMP_NAME_TRIES)
                        return -1;
        }
        if (renameat(temp->dir_fd, temp->name, temp->dir_fd, name) < 0)
                return -1;
        free(TAKE_PTR(temp->name));
        return 0;
}

static int publish_new(struct temp_file *temp, const char *name)
{
        if (!temp->name)
                return link_unnamed(temp->fd, temp->dir_fd, name);
        if (renameat2(temp->dir_fd, temp->name, temp->dir_fd, name, RENAME_NOREPLACE) < 0) {
                if (errno != EINVAL)
                        return -1;
                /* A file system without RENAME_NOREPLACE: a hard link never replaces either. */
                if (linkat(temp->dir_fd, temp->name, temp->dir_fd, name, 0) < 0)
                        return -1;
                (void)unlinkat(temp->dir_fd, temp->name, 0);
        }
        free(TAKE_PTR(temp->name));
        return 0;
}

int temp_file_publish(struct temp_file *temp, const char *name, bool replace, struct error *err)
{
        if (fsync(temp->fd) < 0)
                return error_errno(err, "flush to disk");
        if ((replace ? publish_replacing(temp, name) : publish_new(temp, name)) < 0)
                return error_errno(err, "give it its name");

        /* The name has to survive a crash as well. Not every file system syncs directories. */
        {
                auto_close int dir = openat(temp->dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

                if (dir >= 0)
                        (void)fsync(dir);
        }
        (void)close(TAKE_FD(temp->fd));
        return 0;
}

void temp_file_discard(struct temp_file *temp)
{
        int saved = errno;

        if (temp->fd >= 0)
                (void)close(TAKE_FD(temp->fd));
        if (temp->name) {
                (void)unlinkat(temp->dir_fd, temp->name, 0);
                free(TAKE_PTR(temp->name));
        }
        errno = saved;
}
