/*
 * An image as a rootfs to look at, without a mount: paths are walked here, link by link,
 * as the kernel would for a process whose root is the image.
 */
#include <errno.h>
#include <limits.h>
#include <string.h>

#include "squashfs/squashfs.h"
#include "util/path.h"

/* Deeper paths have no component left below PATH_MAX anyway. */
#define MAX_DEPTH (PATH_MAX / 2)

struct walk {
        struct squashfs_image *image;
        squashfs_ref *stack; /* the root, then each directory gone through */
        size_t depth;        /* of the last one; 0: the root */
        int links;
};

static squashfs_ref here(const struct walk *walk)
{
        return walk->stack[walk->depth];
}

/* Errors of the reader as errno, which is what callers of a path function look at. */
static int fail(const struct error *err)
{
        errno = err->code;
        return -1;
}

static int walk_path(struct walk *walk, const char *path, bool follow_last);

static int follow_link(struct walk *walk, squashfs_ref link)
{
        struct error err = ERROR_INIT;
        auto_free char *target = NULL;

        if (++walk->links > PATH_MAX_LINKS) {
                errno = ELOOP;
                return -1;
        }
        target = squashfs_readlink(walk->image, link, &err);
        return target ? walk_path(walk, target, true) : fail(&err);
}

/* Go to one component of a path, which is the last one or not. 0, or -1 with errno. */
static int step(struct walk *walk, const char *name, bool follow)
{
        struct error err = ERROR_INIT;
        struct squashfs_stat st;
        squashfs_ref next;
        int found;

        if (strcmp(name, ".") == 0)
                return 0;
        if (strcmp(name, "..") == 0) {
                walk->depth -= walk->depth > 0;
                return 0;
        }
        if (squashfs_stat(walk->image, here(walk), &st, &err) < 0)
                return fail(&err);
        if (st.meta.type != ENTRY_DIRECTORY) {
                errno = ENOTDIR;
                return -1;
        }
        found = squashfs_lookup(walk->image, here(walk), name, &next, &err);
        if (found <= 0) {
                errno = found < 0 ? err.code : ENOENT;
                return -1;
        }
        if (squashfs_stat(walk->image, next, &st, &err) < 0)
                return fail(&err);
        if (st.meta.type == ENTRY_SYMLINK && follow)
                return follow_link(walk, next);
        if (walk->depth + 1 >= MAX_DEPTH) {
                errno = ENAMETOOLONG;
                return -1;
        }
        walk->stack[++walk->depth] = next;
        return 0;
}

static int walk_path(struct walk *walk, const char *path, bool follow_last)
{
        char name[NAME_MAX + 1];

        if (*path == '/')
                walk->depth = 0;
        for (path += strspn(path, "/"); *path; path += strspn(path, "/")) {
                size_t length = strcspn(path, "/");
                bool last = path[length + strspn(path + length, "/")] == '\0';

                if (length > NAME_MAX) {
                        errno = ENAMETOOLONG;
                        return -1;
                }
                memcpy(name, path, length);
                name[length] = '\0';
                path += length;
                if (step(walk, name, follow_last || !last) < 0)
                        return -1;
        }
        return 0;
}

/* Find the inode at path. 0 with *ret and *ret_stat, or -1 with errno. */
static int find(const struct root_view *view, const char *path, bool follow, squashfs_ref *ret,
                struct squashfs_stat *ret_stat)
{
        struct squashfs_image *image = (struct squashfs_image *)view->context;
        auto_free squashfs_ref *stack = malloc(MAX_DEPTH * sizeof(*stack));
        struct walk walk = { .image = image, .stack = stack };
        struct error err = ERROR_INIT;

        if (!stack)
                return -1;
        stack[0] = squashfs_root(image);
        if (walk_path(&walk, path, follow) < 0)
                return -1;
        *ret = here(&walk);
        return squashfs_stat(image, *ret, ret_stat, &err) < 0 ? fail(&err) : 0;
}

static int image_read(const struct root_view *view, const char *path, size_t limit,
                      struct strbuf *content, struct error *err)
{
        struct squashfs_image *image = (struct squashfs_image *)view->context;
        struct squashfs_stat st;
        squashfs_ref file;
        char buffer[16384];
        uint64_t offset = 0;

        if (find(view, path, true, &file, &st) < 0)
                return error_errno(err, "%s", path);
        if (st.meta.type != ENTRY_FILE)
                return error_set(err, EINVAL, "%s: not a regular file", path);
        if (st.meta.size > limit)
                return error_set(err, EFBIG, "%s: larger than %zu bytes", path, limit);
        while (offset < st.meta.size) {
                ssize_t got = squashfs_read(image, file, buffer, sizeof(buffer), offset, err);

                if (got < 0)
                        return error_prefix(err, "%s", path);
                if (got == 0)
                        return error_set(err, EBADMSG, "%s: ends early", path);
                if (strbuf_append_mem(content, buffer, (size_t)got) < 0)
                        return error_no_memory(err);
                offset += (uint64_t)got;
        }
        return 0;
}

static int image_mode(const struct root_view *view, const char *path, mode_t *ret)
{
        struct squashfs_stat st;
        squashfs_ref ref;

        if (find(view, path, true, &ref, &st) < 0)
                return -1;
        *ret = entry_type_bits(st.meta.type) | st.meta.mode;
        return 0;
}

static char *image_readlink(const struct root_view *view, const char *path)
{
        struct error err = ERROR_INIT;
        struct squashfs_stat st;
        squashfs_ref ref;
        char *target;

        if (find(view, path, false, &ref, &st) < 0)
                return NULL;
        if (st.meta.type != ENTRY_SYMLINK) {
                errno = EINVAL;
                return NULL;
        }
        target = squashfs_readlink((struct squashfs_image *)view->context, ref, &err);
        if (!target)
                errno = err.code;
        return target;
}

struct root_view squashfs_view(struct squashfs_image *image)
{
        return (struct root_view){
                .read = image_read,
                .mode = image_mode,
                .readlink = image_readlink,
                .fd = -1,
                .context = image,
        };
}
