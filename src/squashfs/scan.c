/*
 * An image as a plain layer of a tree: what is below a lazy container's changes.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "squashfs/squashfs.h"
#include "util/cancel.h"
#include "util/cleanup.h"
#include "util/link_names.h"
#include "util/strbuf.h"

struct waiting_directory {
        squashfs_ref ref;
        char *path;
};

struct image_scan {
        struct squashfs_image *image;
        struct tree *tree;
        const struct scan_options *options;
        struct waiting_directory *waiting; /* last in first out */
        size_t count, capacity;
        struct link_names linked, directories;
        struct strbuf path; /* of the directory being listed */
};

static void scan_release(struct image_scan *scan)
{
        for (size_t i = 0; i < scan->count; i++)
                free(scan->waiting[i].path);
        free(scan->waiting);
        link_names_release(&scan->linked);
        link_names_release(&scan->directories);
        strbuf_release(&scan->path);
}

/* List a directory later. With two names, a few inodes would describe an endless tree. */
static int put_off(struct image_scan *scan, squashfs_ref ref, uint32_t inode, const char *path,
                   struct error *err)
{
        const char *first;

        if (link_names_note(&scan->directories, inode, path, &first, err) < 0)
                return -1;
        if (first)
                return error_set(err, EBADMSG, "damaged image: the directory is also /%s", first);
        if (scan->count == scan->capacity) {
                size_t capacity = scan->capacity ? 2 * scan->capacity : 64;
                struct waiting_directory *larger =
                        reallocarray(scan->waiting, capacity, sizeof(*larger));

                if (!larger)
                        return error_no_memory(err);
                scan->waiting = larger;
                scan->capacity = capacity;
        }
        scan->waiting[scan->count].ref = ref;
        scan->waiting[scan->count].path = strdup(path);
        if (!scan->waiting[scan->count].path)
                return error_no_memory(err);
        scan->count++;
        return 0;
}

static int read_meta(struct image_scan *scan, squashfs_ref ref, struct entry_meta *ret,
                     struct squashfs_stat *ret_stat, struct error *err)
{
        if (squashfs_stat(scan->image, ref, ret_stat, err) < 0)
                return -1;
        *ret = ret_stat->meta;
        if (!scan->options->keep_owners)
                ret->uid = ret->gid = 0;
        if (ret->type == ENTRY_SYMLINK) {
                ret->target = squashfs_readlink(scan->image, ref, err);
                if (!ret->target)
                        return -1;
        }
        return ret_stat->has_xattrs ? squashfs_xattrs(scan->image, ref, &ret->xattrs, err) : 0;
}

static int make_link(struct image_scan *scan, uint32_t inode, struct entry *entry,
                     struct error *err)
{
        const char *first;

        if (link_names_note(&scan->linked, inode, entry->path, &first, err) < 0)
                return -1;
        if (!first)
                return 0;
        entry_meta_release(&entry->meta);
        entry->meta.type = ENTRY_HARDLINK;
        entry->meta.target = strdup(first);
        return entry->meta.target ? 0 : error_no_memory(err);
}

static int add(struct image_scan *scan, squashfs_ref ref, const char *path, struct error *err)
{
        auto_cleanup(entry_release) struct entry entry = { .path = strdup(path) };
        struct tree_inode *file = NULL;
        struct squashfs_stat stat;

        if (!entry.path)
                return error_no_memory(err);
        if (read_meta(scan, ref, &entry.meta, &stat, err) < 0)
                return -1;
        if (scan->options->leave_out && scan->options->leave_out(path, &entry.meta))
                return 0;
        if (entry.meta.type == ENTRY_DIRECTORY) {
                if (put_off(scan, ref, stat.inode, path, err) < 0)
                        return -1;
        } else if (stat.links > 1 && make_link(scan, stat.inode, &entry, err) < 0) {
                return -1;
        }
        return tree_add(scan->tree, &entry, &file, err);
}

static int visit(const struct squashfs_dirent *found, void *context, struct error *err)
{
        struct image_scan *scan = context;
        size_t length = scan->path.length;
        int status;

        if (length > 0)
                strbuf_append_char(&scan->path, '/');
        strbuf_append(&scan->path, found->name);
        if (scan->path.failed)
                return error_no_memory(err);
        status = add(scan, found->ref, strbuf_text(&scan->path), err);
        if (status < 0)
                error_prefix(err, "/%s", strbuf_text(&scan->path));
        strbuf_truncate(&scan->path, length);
        return status;
}

static int scan_layer(struct image_scan *scan, struct error *err)
{
        if (add(scan, squashfs_root(scan->image), "", err) < 0)
                return -1;
        while (scan->count > 0) {
                struct waiting_directory next = scan->waiting[--scan->count];

                strbuf_reset(&scan->path);
                strbuf_append(&scan->path, next.path);
                free(next.path);
                if (scan->path.failed)
                        return error_no_memory(err);
                if (cancel_check(err) < 0 ||
                    squashfs_list(scan->image, next.ref, 0, visit, scan, err) < 0)
                        return -1;
        }
        return 0;
}

static int scan_once(struct squashfs_image *image, struct tree *tree,
                     const struct scan_options *options, struct error *err)
{
        auto_cleanup(scan_release) struct image_scan scan = {
                .image = image,
                .tree = tree,
                .options = options,
        };

        return scan_layer(&scan, err);
}

int squashfs_scan(struct squashfs_image *image, struct tree *tree,
                  const struct scan_options *options, struct error *err)
{
        if (tree_begin_plain_layer(tree, err) < 0 || scan_once(image, tree, options, err) < 0)
                return -1;
        /* Files that are hidden under the name that came first, but not under another. */
        if (!tree_needs_rescan(tree))
                return 0;
        if (tree_begin_rescan(tree, err) < 0)
                return -1;
        return scan_once(image, tree, options, err);
}
