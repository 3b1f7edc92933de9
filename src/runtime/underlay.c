/*
 * A root for an image where there is no overlayfs: a file system in memory whose
 * directories are those of the image, bound one by one and read-only. Only directories
 * that programs, hooks and mount points usually need to write to are opened: made anew,
 * with copies of the files in them and binds of the directories.
 *
 * The image is untrusted: it is walked by descriptors, links are copied and never
 * followed, and what is copied is limited.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "runtime/container.h"
#include "util/io.h"
#include "util/path.h"

#define MAX_ENTRIES 20000u
#define MAX_BYTES   (64u << 20) /* of all copied files */
#define MAX_FILE    (4u << 20)  /* a larger one is bound, read-only */

/* Opened directories, parents first; "" is the root itself. */
static const char *const opened[] = {
        "",    "etc", "home", "media", "mnt",       "opt",     "root",      "run",
        "srv", "tmp", "usr",  "var",   "var/cache", "var/log", "var/spool", "var/tmp",
};

struct underlay {
        unsigned int entries;
        size_t bytes;
};

static bool is_opened(const char *path)
{
        for (size_t i = 0; i < ARRAY_SIZE(opened); i++)
                if (strcmp(opened[i], path) == 0)
                        return true;
        return false;
}

static int fail(struct error *err, const char *path)
{
        return error_errno(err, "/%s", path);
}

/* Bind with the flags of the image's mount, which is read-only. */
static int bind_over(int lower_dir, int upper_dir, const char *name)
{
        auto_close int lower = openat(lower_dir, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
        auto_close int upper = openat(upper_dir, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
        char source[32], target[32];

        if (lower < 0 || upper < 0)
                return -1;
        (void)snprintf(source, sizeof(source), "/proc/self/fd/%d", lower);
        (void)snprintf(target, sizeof(target), "/proc/self/fd/%d", upper);
        return mount(source, target, NULL, MS_BIND, NULL);
}

static int add_link(int lower_dir, int upper_dir, const char *name)
{
        char target[PATH_MAX];
        ssize_t length = readlinkat(lower_dir, name, target, sizeof(target) - 1);

        if (length < 0)
                return -1;
        target[length] = '\0';
        return symlinkat(target, upper_dir, name);
}

static int add_file(struct underlay *underlay, int lower_dir, int upper_dir, const char *name,
                    const struct stat *st, struct error *err)
{
        auto_strbuf struct strbuf content = STRBUF_INIT;
        auto_close int from = -1, to = -1;

        to = openat(upper_dir, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
        if (to < 0)
                return error_errno(err, "%s", name);
        if (st->st_size > MAX_FILE || underlay->bytes + (size_t)st->st_size > MAX_BYTES)
                return bind_over(lower_dir, upper_dir, name) < 0 ? error_errno(err, "%s", name) : 0;
        from = openat(lower_dir, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
        if (from < 0)
                return error_errno(err, "%s", name);
        if (io_read_fd(from, name, MAX_FILE, &content, err) < 0)
                return -1;
        underlay->bytes += content.length;
        if (io_write_full(to, strbuf_text(&content), content.length) < 0 ||
            fchmod(to, st->st_mode & 0777) < 0)
                return error_errno(err, "%s", name);
        (void)futimens(to, (struct timespec[]){ st->st_atim, st->st_mtim });
        return 0;
}

static int open_directory(struct underlay *underlay, const char *path, int lower_dir, int upper_dir,
                          struct error *err);

static int add_directory(struct underlay *underlay, const char *path, int lower_dir, int upper_dir,
                         const char *name, const struct stat *st, struct error *err)
{
        auto_close int lower = -1, upper = -1;

        if (mkdirat(upper_dir, name, 0700) < 0)
                return fail(err, path);
        if (!is_opened(path))
                return bind_over(lower_dir, upper_dir, name) < 0 ? fail(err, path) : 0;
        lower = openat(lower_dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        upper = openat(upper_dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (lower < 0 || upper < 0 || fchmod(upper, st->st_mode & 07777) < 0)
                return fail(err, path);
        return open_directory(underlay, path, lower, upper, err);
}

static int add_entry(struct underlay *underlay, const char *dir, int lower_dir, int upper_dir,
                     const char *name, struct error *err)
{
        auto_free char *joined = *dir ? path_join(dir, name) : NULL;
        const char *path = *dir ? joined : name;
        struct stat st;

        if (!path)
                return error_no_memory(err);
        if (++underlay->entries > MAX_ENTRIES)
                return error_set(err, EFBIG,
                                 "/%s: more than %u files in the directories that "
                                 "would be copied",
                                 dir, MAX_ENTRIES);
        if (fstatat(lower_dir, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
                return fail(err, path);
        switch (st.st_mode & S_IFMT) {
        case S_IFDIR:
                return add_directory(underlay, path, lower_dir, upper_dir, name, &st, err);
        case S_IFREG:
                if (add_file(underlay, lower_dir, upper_dir, name, &st, err) < 0)
                        return *dir ? error_prefix(err, "/%s", dir) : -1;
                return 0;
        case S_IFLNK:
                return add_link(lower_dir, upper_dir, name) < 0 ? fail(err, path) : 0;
        default:
                return 0; /* pipes and devices */
        }
}

static int open_directory(struct underlay *underlay, const char *path, int lower_dir, int upper_dir,
                          struct error *err)
{
        auto_close int fd = openat(lower_dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        auto_closedir DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;

        if (!dir)
                return fail(err, path);
        (void)TAKE_FD(fd); /* belongs to dir */
        for (;;) {
                const struct dirent *entry;

                errno = 0;
                entry = readdir(dir);
                if (!entry)
                        return errno ? fail(err, path) : 0;
                if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0 &&
                    add_entry(underlay, path, lower_dir, upper_dir, entry->d_name, err) < 0)
                        return -1;
        }
}

int underlay_build(int lower_fd, int root_fd, struct error *err)
{
        struct underlay underlay = { .entries = 0 };

        return open_directory(&underlay, "", lower_fd, root_fd, err);
}
