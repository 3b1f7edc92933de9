/*
 * "tmpcopyup": a file system in memory begins with what the directory has that it is
 * mounted over. Directories, files and links, with modes and, where that may be, owners.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>

#include "oci/container.h"

#define DEPTH_LIMIT 64u /* directories are open on the way */
#define CHUNK       (1u << 30)

static int copy_directory(int from_fd, int to_fd, unsigned int depth, struct error *err);

static int copy_file(int from_fd, int to_fd, const char *name, const struct stat *st,
                     struct error *err)
{
        auto_close int from = openat(from_fd, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
        auto_close int to = openat(to_fd, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
        ssize_t size;

        if (from < 0 || to < 0)
                return error_errno(err, "%s", name);
        do
                size = copy_file_range(from, NULL, to, NULL, CHUNK, 0);
        while (size > 0);
        if (size < 0 || fchmod(to, st->st_mode & 07777) < 0)
                return error_errno(err, "%s", name);
        (void)fchown(to, st->st_uid, st->st_gid);
        return 0;
}

static int copy_link(int from_fd, int to_fd, const char *name, struct error *err)
{
        char target[PATH_MAX];
        ssize_t length = readlinkat(from_fd, name, target, sizeof(target) - 1);

        if (length < 0)
                return error_errno(err, "%s", name);
        target[length] = '\0';
        return symlinkat(target, to_fd, name) < 0 ? error_errno(err, "%s", name) : 0;
}

static int copy_entry(int from_fd, int to_fd, const char *name, unsigned int depth,
                      struct error *err)
{
        auto_close int from = -1, to = -1;
        struct stat st;

        if (fstatat(from_fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
                return error_errno(err, "%s", name);
        if (S_ISREG(st.st_mode))
                return copy_file(from_fd, to_fd, name, &st, err);
        if (S_ISLNK(st.st_mode))
                return copy_link(from_fd, to_fd, name, err);
        if (!S_ISDIR(st.st_mode))
                return 0;
        if (mkdirat(to_fd, name, 0700) < 0)
                return error_errno(err, "%s", name);
        from = openat(from_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        to = openat(to_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (from < 0 || to < 0 || fchmod(to, st.st_mode & 07777) < 0)
                return error_errno(err, "%s", name);
        (void)fchown(to, st.st_uid, st.st_gid);
        return copy_directory(from, to, depth + 1, err) < 0 ? error_prefix(err, "%s", name) : 0;
}

/* from_fd stays the caller's. */
static int copy_directory(int from_fd, int to_fd, unsigned int depth, struct error *err)
{
        auto_close int fd = openat(from_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        auto_closedir DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
        const struct dirent *entry;

        if (!dir)
                return error_errno(err, "tmpcopyup");
        (void)TAKE_FD(fd); /* the stream's now */
        if (depth > DEPTH_LIMIT)
                return error_set(err, ELOOP, "tmpcopyup: more than %u directories deep",
                                 DEPTH_LIMIT);
        while ((entry = readdir(dir)) != NULL)
                if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0 &&
                    copy_entry(from_fd, to_fd, entry->d_name, depth, err) < 0)
                        return -1;
        return 0;
}

int copy_up(int from_fd, int to_fd, struct error *err)
{
        return copy_directory(from_fd, to_fd, 0, err);
}
