/*
 * A new home directory from the image's skeleton, whose content is untrusted: links
 * end inside the root, and loops and giants run into the limits. It is made under
 * another name and renamed, because the next start takes what it finds for complete.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "hooks/builtin.h"
#include "util/io.h"
#include "util/path.h"
#include "util/temp_dir.h"

#define MAX_DEPTH   16
#define MAX_ENTRIES 10000u
#define MAX_BYTES   (64u << 20)

struct copy {
        int root_fd;
        unsigned int entries; /* copied so far */
        size_t bytes;
};

static int copy_directory(struct copy *copy, const char *source, int target_fd, int depth,
                          struct error *err);

static int copy_file(struct copy *copy, const char *source, int source_fd, const struct stat *st,
                     int dir_fd, const char *name, struct error *err)
{
        auto_strbuf struct strbuf content = STRBUF_INIT;
        auto_close int fd = openat(dir_fd, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

        if (fd < 0)
                return error_errno(err, "%s", name);
        if (io_read_fd(source_fd, source, MAX_BYTES - copy->bytes, &content, err) < 0)
                return -1;
        copy->bytes += content.length;
        if (io_write_full(fd, strbuf_text(&content), content.length) < 0 ||
            fchmod(fd, st->st_mode & 0777) < 0)
                return error_errno(err, "%s", name);
        (void)futimens(fd, (struct timespec[]){ st->st_atim, st->st_mtim });
        return 0;
}

static int copy_entry(struct copy *copy, const char *source, int dir_fd, const char *name,
                      int depth, struct error *err)
{
        auto_close int source_fd =
                path_open_in_root(copy->root_fd, source, O_RDONLY | O_NONBLOCK | O_NOCTTY, 0);
        auto_close int target_fd = -1;
        struct stat st;

        if (++copy->entries > MAX_ENTRIES)
                return error_set(err, EFBIG, "more than %u files", MAX_ENTRIES);
        if (source_fd < 0)
                /* A dangling link, a device without its driver, a file that is not the user's. */
                return errno == ENOENT || errno == ENXIO || errno == EACCES || errno == ELOOP
                               ? 0
                               : error_errno(err, "%s", source);
        if (fstat(source_fd, &st) < 0)
                return error_errno(err, "%s", source);
        if (S_ISREG(st.st_mode))
                return copy_file(copy, source, source_fd, &st, dir_fd, name, err);
        if (!S_ISDIR(st.st_mode))
                return 0;

        if (mkdirat(dir_fd, name, 0700) < 0)
                return error_errno(err, "%s", name);
        target_fd = openat(dir_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (target_fd < 0)
                return error_errno(err, "%s", name);
        if (copy_directory(copy, source, target_fd, depth + 1, err) < 0)
                return -1;
        if (fchmod(target_fd, (st.st_mode & 0777) | 0700) < 0)
                return error_errno(err, "%s", name);
        return 0;
}

static int copy_directory(struct copy *copy, const char *source, int target_fd, int depth,
                          struct error *err)
{
        auto_close int fd = path_open_in_root(copy->root_fd, source, O_RDONLY | O_DIRECTORY, 0);
        auto_closedir DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;

        if (depth > MAX_DEPTH)
                return error_set(err, ELOOP, "%s: deeper than %d directories", source, MAX_DEPTH);
        if (!dir)
                return error_errno(err, "%s", source);
        (void)TAKE_FD(fd); /* belongs to dir */
        for (;;) {
                auto_free char *path = NULL;
                const struct dirent *entry;

                errno = 0;
                entry = readdir(dir);
                if (!entry)
                        return errno ? error_errno(err, "%s", source) : 0;
                if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
                        continue;
                path = path_join(source, entry->d_name);
                if (!path)
                        return error_no_memory(err);
                if (copy_entry(copy, path, target_fd, entry->d_name, depth, err) < 0)
                        return -1;
        }
}

int skel_copy(int root_fd, const char *source, int target_fd, struct error *err)
{
        struct copy copy = { .root_fd = root_fd };

        if (copy_directory(&copy, source, target_fd, 0, err) < 0)
                return err->code == ENOENT || err->code == ENOTDIR ? 0 : error_prefix(err, "skel");
        return 0;
}

int skel_make_home(int root_fd, const char *skel, int parent_fd, const char *name, mode_t mode,
                   struct error *err)
{
        auto_temp_dir struct temp_dir home = TEMP_DIR_INIT;

        if (temp_dir_create(&home, parent_fd, name, mode, err) < 0 ||
            skel_copy(root_fd, skel, home.fd, err) < 0)
                return -1;
        /* Another start was first: its home is as good. */
        if (temp_dir_publish(&home, name, false, err) < 0)
                return err->code == EEXIST ? 0 : -1;
        return 0;
}
