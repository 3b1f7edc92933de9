/* The configuration files that a bundle carries: taken from the host, and laid down again. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bundle/bundle.h"
#include "util/cleanup.h"
#include "util/io.h"
#include "util/path.h"

/* Directories below each other; links that form a loop end here. */
#define DEPTH_LIMIT 16u

/* ---- taking ---- */

static int add_directory(struct bundle *bundle, const char *source, const char *path,
                         unsigned int depth, struct error *err);

static int add_entry(struct bundle *bundle, const char *source, const char *path,
                     unsigned int depth, struct error *err)
{
        auto_close int fd = open(source, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
        auto_strbuf struct strbuf text = STRBUF_INIT;
        struct stat st;

        if (fd < 0 || fstat(fd, &st) < 0)
                return error_errno(err, "%s", source);
        if (S_ISDIR(st.st_mode))
                return add_directory(bundle, source, path, depth + 1, err);
        if (!S_ISREG(st.st_mode))
                return error_set(err, EINVAL, "%s: is neither a file nor a directory", source);
        if (io_read_fd(fd, source, BUNDLE_RECORDS_LIMIT, &text, err) < 0)
                return -1;
        if (bundle_add_file(bundle, path, st.st_mode & S_IXUSR, strbuf_text(&text), text.length) <
            0)
                return error_no_memory(err);
        return 0;
}

static int list_names(const char *source, struct strlist *names, struct error *err)
{
        auto_closedir DIR *dir = opendir(source);
        struct dirent *entry;

        if (!dir)
                return error_errno(err, "%s", source);
        while ((errno = 0, entry = readdir(dir))) {
                if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
                        continue;
                if (strlist_append(names, entry->d_name) < 0)
                        return error_no_memory(err);
        }
        if (errno)
                return error_errno(err, "%s", source);
        strlist_sort(names);
        return 0;
}

static int add_directory(struct bundle *bundle, const char *source, const char *path,
                         unsigned int depth, struct error *err)
{
        auto_strlist struct strlist names = STRLIST_INIT;

        if (depth > DEPTH_LIMIT)
                return error_set(err, ELOOP, "%s: more than %u directories below each other",
                                 source, DEPTH_LIMIT);
        if (list_names(source, &names, err) < 0)
                return -1;
        if (bundle_add_file(bundle, path, false, NULL, 0) < 0)
                return error_no_memory(err);
        for (size_t i = 0; i < names.count; i++) {
                auto_free char *below = path_join(source, names.items[i]);
                auto_free char *inside = path_join(path, names.items[i]);

                if (!below || !inside)
                        return error_no_memory(err);
                if (add_entry(bundle, below, inside, depth, err) < 0)
                        return -1;
        }
        return 0;
}

int bundle_add_tree(struct bundle *bundle, const char *source, const char *path, struct error *err)
{
        if (access(source, F_OK) < 0)
                return errno == ENOENT || errno == ENOTDIR ? 0 : error_errno(err, "%s", source);
        return add_directory(bundle, source, path, 0, err);
}

/* ---- laying down ---- */

static int lay_down_file(const struct bundle_file *file, int dir_fd, struct error *err)
{
        char name[NAME_MAX + 1];
        auto_close int parent = path_open_parent(dir_fd, file->path, true, name);
        auto_close int fd = -1;

        if (parent < 0)
                return error_errno(err, "%s", file->path);
        if (file->directory)
                return mkdirat(parent, name, 0755) < 0 && errno != EEXIST
                               ? error_errno(err, "%s", file->path)
                               : 0;
        fd = openat(parent, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC,
                    file->executable ? 0755 : 0644);
        if (fd < 0 || io_write_full(fd, file->data, file->size) < 0)
                return error_errno(err, "%s", file->path);
        return 0;
}

int bundle_lay_down(const struct bundle *bundle, int dir_fd, struct error *err)
{
        for (size_t i = 0; i < bundle->file_count; i++)
                if (lay_down_file(&bundle->files[i], dir_fd, err) < 0)
                        return -1;
        return 0;
}
