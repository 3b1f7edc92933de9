/*
 * A directory as a plain layer. Directories wait in a list by their paths, so that neither
 * the stack nor the limit on open files bounds the depth of the tree.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "tree/tree.h"
#include "util/cancel.h"
#include "util/cleanup.h"
#include "util/link_names.h"
#include "util/owner_access.h"
#include "util/path.h"
#include "util/strbuf.h"
#include "util/strlist.h"

struct scan {
        struct tree *tree;
        const struct scan_options *options;
        dev_t device;
        struct strlist waiting;   /* directories, last in first out */
        struct link_names linked; /* the tree is on one file system */
        int dir_fd;               /* being listed, */
        struct strbuf path;       /* and where it is */
};

static void scan_release(struct scan *scan)
{
        link_names_release(&scan->linked);
        strlist_release(&scan->waiting);
        strbuf_release(&scan->path);
}

/* ---- hard links ---- */

/* Make the entry a link if its file has been met under another name. */
static int note_name(struct scan *scan, const struct stat *st, struct entry *entry,
                     struct error *err)
{
        const char *first;

        if (link_names_note(&scan->linked, st->st_ino, entry->path, &first, err) < 0)
                return -1;
        if (!first)
                return 0;
        entry_meta_release(&entry->meta);
        entry->meta.type = ENTRY_HARDLINK;
        entry->meta.target = strdup(first);
        return entry->meta.target ? 0 : error_no_memory(err);
}

/* ---- attributes ---- */

/* What the attributes are read from: by name or, where that is forbidden, by descriptor. */
struct xattr_source {
        char path[64 + NAME_MAX];
        int fd; /* -1: by path */
};

static ssize_t list_names(const struct xattr_source *source, char *names, size_t size)
{
        return source->fd >= 0 ? flistxattr(source->fd, names, size)
                               : llistxattr(source->path, names, size);
}

static ssize_t get_value(const struct xattr_source *source, const char *name, void *value,
                         size_t size)
{
        return source->fd >= 0 ? fgetxattr(source->fd, name, value, size)
                               : lgetxattr(source->path, name, value, size);
}

/* Returns 0; 1 when the file has to be opened for it; -1 with *err. */
static int read_xattrs(const struct xattr_source *source, struct xattr_list *ret, struct error *err)
{
        char names[XATTR_LIST_MAX], value[XATTR_SIZE_MAX];
        ssize_t length = list_names(source, names, sizeof(names));

        for (const char *name = names; name < names + length; name += strlen(name) + 1) {
                ssize_t size = get_value(source, name, value, sizeof(value));

                if (size < 0 && errno == EACCES && source->fd < 0)
                        return 1;
                /* What cannot be read belongs to the machine, or has just been removed. */
                if (size >= 0 && xattr_list_set(ret, name, value, (size_t)size) < 0)
                        return error_no_memory(err);
        }
        return 0;
}

static int add_xattrs(struct scan *scan, const char *name, struct entry *entry, struct error *err)
{
        struct xattr_source source = { .fd = -1 };
        int status;

        /* Only these can have attributes of a user. */
        if (entry->meta.type != ENTRY_FILE && entry->meta.type != ENTRY_DIRECTORY)
                return 0;
        (void)snprintf(source.path, sizeof(source.path), "/proc/self/fd/%d/%s", scan->dir_fd, name);
        status = read_xattrs(&source, &entry->meta.xattrs, err);
        if (status > 0) {
                auto_close int fd =
                        entry->meta.type == ENTRY_FILE
                                ? owner_access_open_file(scan->options->access, entry->path)
                                : owner_access_open_dir(scan->options->access, entry->path);

                if (fd < 0)
                        return 0;
                source.fd = fd;
                status = read_xattrs(&source, &entry->meta.xattrs, err);
        }
        return status;
}

/* ---- overlays ---- */

/* The attribute NAME that overlayfs gave a file, in a user namespace or as root. */
static bool has_mark(const struct entry_meta *meta, const char *name)
{
        static const char *const prefixes[] = { "user.overlay.", "trusted.overlay." };
        char full[64];

        for (size_t i = 0; i < ARRAY_SIZE(prefixes); i++) {
                (void)snprintf(full, sizeof(full), "%s%s", prefixes[i], name);
                if (xattr_list_find(&meta->xattrs, full))
                        return true;
        }
        return false;
}

/* Both kinds of Documentation/filesystems/overlayfs.rst, "Whiteouts and opaque directories". */
static bool is_whiteout(const struct entry_meta *meta)
{
        if (meta->type == ENTRY_CHAR_DEVICE && meta->rdev == makedev(0, 0))
                return true;
        return meta->type == ENTRY_FILE && meta->size == 0 && has_mark(meta, "whiteout");
}

/* overlayfs writes "y"; "x" is for a directory that has whiteouts of the second kind. */
static bool is_opaque(const struct entry_meta *meta)
{
        static const char *const names[] = { "user.overlay.opaque", "trusted.overlay.opaque" };

        for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
                const struct xattr *mark = xattr_list_find(&meta->xattrs, names[i]);

                if (mark && mark->size == 1 && *(const char *)mark->value == 'y')
                        return true;
        }
        return false;
}

/* Overlays' notes have been read by now, and are no part of an image. */
static void drop_foreign_xattrs(struct xattr_list *xattrs)
{
        size_t kept = 0;

        for (size_t i = 0; i < xattrs->count; i++) {
                if (xattr_is_kept(xattrs->items[i].name)) {
                        xattrs->items[kept++] = xattrs->items[i];
                } else {
                        free(xattrs->items[i].name);
                        free(xattrs->items[i].value);
                }
        }
        xattrs->count = kept;
}

/* ---- entries ---- */

static enum entry_type type_of(mode_t mode)
{
        switch (mode & S_IFMT) {
        case S_IFDIR:
                return ENTRY_DIRECTORY;
        case S_IFLNK:
                return ENTRY_SYMLINK;
        case S_IFIFO:
                return ENTRY_FIFO;
        case S_IFSOCK:
                return ENTRY_SOCKET;
        case S_IFCHR:
                return ENTRY_CHAR_DEVICE;
        case S_IFBLK:
                return ENTRY_BLOCK_DEVICE;
        default:
                return ENTRY_FILE;
        }
}

static int read_link(int dir_fd, const char *name, char **ret, struct error *err)
{
        char text[PATH_MAX];
        ssize_t length = readlinkat(dir_fd, name, text, sizeof(text));

        if (length < 0)
                return error_errno(err, "read the link");
        *ret = strndup(text, (size_t)length);
        return *ret ? 0 : error_no_memory(err);
}

static int fill_entry(struct scan *scan, const char *name, const struct stat *st,
                      struct entry *entry, struct error *err)
{
        entry->path = strdup(strbuf_text(&scan->path));
        entry->meta.type = type_of(st->st_mode);
        entry->meta.mode = (uint16_t)(st->st_mode & 07777);
        entry->meta.mtime = st->st_mtime;
        entry->meta.rdev = st->st_rdev;
        if (!entry->path)
                return error_no_memory(err);
        if (scan->options->keep_owners) {
                entry->meta.uid = st->st_uid;
                entry->meta.gid = st->st_gid;
        }
        if (entry->meta.type == ENTRY_FILE)
                entry->meta.size = (uint64_t)st->st_size;
        if (entry->meta.type == ENTRY_SYMLINK &&
            read_link(scan->dir_fd, name, &entry->meta.target, err) < 0)
                return -1;
        return add_xattrs(scan, name, entry, err);
}

static int add_opaque(struct scan *scan, const char *path, struct error *err)
{
        auto_cleanup(entry_release) struct entry mark = {
                .path = strdup(path),
                .meta = { .type = ENTRY_OPAQUE },
        };
        struct tree_inode *file = NULL;

        return mark.path ? tree_add(scan->tree, &mark, &file, err) : error_no_memory(err);
}

/* Add what was found to the tree; scan->path is its path. */
static int add_entry(struct scan *scan, const char *name, const struct stat *st, struct error *err)
{
        const struct scan_options *options = scan->options;
        auto_cleanup(entry_release) struct entry entry = { .path = NULL };
        struct tree_inode *file = NULL;
        bool opaque;

        if (fill_entry(scan, name, st, &entry, err) < 0)
                return -1;
        if (is_whiteout(&entry.meta)) {
                /* One of another overlay, whose layers are somewhere below, is only its own. */
                if (!options->overlay)
                        return 0;
                entry.meta.type = ENTRY_WHITEOUT;
                return tree_add(scan->tree, &entry, &file, err);
        }
        if (options->leave_out && options->leave_out(entry.path, &entry.meta))
                return 0;
        opaque = options->overlay && entry.meta.type == ENTRY_DIRECTORY && is_opaque(&entry.meta);
        drop_foreign_xattrs(&entry.meta.xattrs);
        if (entry.meta.type == ENTRY_DIRECTORY) {
                if (st->st_dev == scan->device && strlist_append(&scan->waiting, entry.path) < 0)
                        return error_no_memory(err);
        } else if (st->st_nlink > 1 && note_name(scan, st, &entry, err) < 0) {
                return -1;
        }
        if (opaque && add_opaque(scan, entry.path, err) < 0)
                return -1;
        return tree_add(scan->tree, &entry, &file, err);
}

/* ---- directories ---- */

static int scan_names(struct scan *scan, DIR *dir, struct error *err)
{
        size_t length = scan->path.length;

        for (;;) {
                const struct dirent *found;
                struct stat st;

                errno = 0;
                found = readdir(dir);
                if (!found)
                        return errno ? error_errno(err, "list") : cancel_check(err);
                if (strcmp(found->d_name, ".") == 0 || strcmp(found->d_name, "..") == 0)
                        continue;
                strbuf_truncate(&scan->path, length);
                if (length > 0)
                        strbuf_append_char(&scan->path, '/');
                strbuf_append(&scan->path, found->d_name);
                if (scan->path.failed)
                        return error_no_memory(err);
                if (fstatat(scan->dir_fd, found->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0) {
                        if (errno == ENOENT) /* removed since it was listed */
                                continue;
                        return error_errno(err, "stat");
                }
                if (add_entry(scan, found->d_name, &st, err) < 0)
                        return -1;
        }
}

static int scan_directory(struct scan *scan, const char *path, struct error *err)
{
        int fd = owner_access_open_dir(scan->options->access, path);
        auto_closedir DIR *dir = NULL;

        strbuf_reset(&scan->path);
        strbuf_append(&scan->path, path);
        if (fd < 0)
                return errno == ENOENT ? 0 : error_errno(err, "open");
        dir = fdopendir(fd);
        if (!dir) {
                (void)close(fd);
                return error_errno(err, "open");
        }
        scan->dir_fd = fd;
        return scan_names(scan, dir, err);
}

static int scan_root(struct scan *scan, int root_fd, struct error *err)
{
        struct stat st;

        if (fstat(root_fd, &st) < 0)
                return error_errno(err, "stat");
        scan->device = st.st_dev;
        scan->dir_fd = root_fd;
        return add_entry(scan, ".", &st, err);
}

int tree_scan(struct tree *tree, int dir_fd, const struct scan_options *options, struct error *err)
{
        auto_cleanup(scan_release) struct scan scan = { .tree = tree, .options = options };

        if (tree_begin_plain_layer(tree, err) < 0)
                return -1;
        if (scan_root(&scan, dir_fd, err) < 0)
                return error_prefix(err, "/");
        while (scan.waiting.count > 0) {
                auto_free char *path = strdup(scan.waiting.items[scan.waiting.count - 1]);

                if (!path)
                        return error_no_memory(err);
                strlist_remove(&scan.waiting, scan.waiting.count - 1);
                if (scan_directory(&scan, path, err) < 0)
                        return error_prefix(err, "/%s", strbuf_text(&scan.path));
        }
        return 0;
}
