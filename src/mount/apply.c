/*
 * The one place that carries mount plans out.
 *
 * entry          source opened    target opened      done with
 * -------------  ---------------  -----------------  ------------------------------------
 * bind           path or in root  in root, created   open_tree, mount_setattr, move_mount;
 *                                                    before Linux 5.12 mount(2) and remount
 * file system    -                in root, created   mount(2)
 * bind, content  file in memory   in root, created   as a bind of that file
 * image          path or in root  in root, created   by the root's mount_image
 * move           path or in root  in root, created   mount(2)
 * remount,bind   -                in root            mount_setattr or mount(2)
 * remount        -                in root            mount(2)
 * detach         -                in root            umount2(2)
 * propagation    -                in root            mount_setattr or mount(2)
 *
 * Invariants: a target is resolved once, below the root, to a descriptor, and only
 * that descriptor is used from then on, so that a directory swapped for a symbolic
 * link cannot lead a mount elsewhere. The one second look that the old calls need is
 * checked against what was mounted. A source below the root belongs to the image and
 * is resolved inside the root as well.
 */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#include "mount/mount.h"
#include "mount/syscalls.h"
#include "util/cleanup.h"
#include "util/io.h"
#include "util/path.h"
#include "util/root_file.h"

/* What mount(2) takes as flags for one mount, and mount_setattr(2) under other names. */
#define ATIME_FLAGS (MS_NOATIME | MS_RELATIME | MS_STRICTATIME)

/* Room for "/proc/self/fd/" and a number. */
#define FD_PATH_SIZE 32

struct source {
        int fd; /* of a source inside the root; -1 otherwise */
        char fd_path[FD_PATH_SIZE];
        const char *path;
};

static void source_release(struct source *source)
{
        if (source->fd >= 0)
                (void)close(source->fd);
}

static const char *fd_path(int fd, char path[FD_PATH_SIZE])
{
        (void)snprintf(path, FD_PATH_SIZE, "/proc/self/fd/%d", fd);
        return path;
}

/* ---- sources and targets ---- */

/* The path inside the root of a source that lies below it, or NULL. */
static const char *path_below(const char *source, const char *root_path)
{
        size_t length = root_path ? strlen(root_path) : 0;

        if (!root_path || strncmp(source, root_path, length) != 0 ||
            (source[length] != '/' && source[length] != '\0'))
                return NULL;
        return source + length;
}

static int source_open(struct source *source, const struct mount_entry *entry,
                       const struct mount_root *root, struct error *err)
{
        const char *inside;

        *source = (struct source){ .fd = -1, .path = entry->source };
        if (!entry->source)
                return error_set(err, EINVAL, "no source");
        inside = path_below(entry->source, root->path);
        if (!inside)
                return 0;
        source->fd = path_open_in_root(root->fd, inside, O_PATH, 0);
        if (source->fd < 0)
                return error_errno(err, "source");
        source->path = fd_path(source->fd, source->fd_path);
        return 0;
}

/* An empty file at the target, its directories, and a dangling link's target. O_PATH. */
static int create_file(const char *target, const struct mount_root *root)
{
        char name[NAME_MAX + 1];
        auto_close int parent = root_file_open_parent(root->fd, target, true, name);

        if (parent < 0 || (mknodat(parent, name, S_IFREG | 0644, 0) < 0 && errno != EEXIST))
                return -1;
        return openat(parent, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
}

/* source is NULL for entries that have none. Returns an O_PATH descriptor, or -1 with *err. */
static int target_open(const struct mount_entry *entry, const struct mount_root *root,
                       const char *source, struct error *err)
{
        auto_close int fd = path_open_in_root(root->fd, entry->target, O_PATH, 0);
        enum mount_create create = entry->create;
        struct stat st, root_stat;

        if (fd < 0 && errno == ENOENT && create != MOUNT_CREATE_NONE) {
                if (create == MOUNT_CREATE_AUTO && source) {
                        if (stat(source, &st) < 0)
                                return error_errno(err, "source");
                        if (!S_ISDIR(st.st_mode))
                                create = MOUNT_CREATE_FILE;
                }
                fd = create == MOUNT_CREATE_FILE ? create_file(entry->target, root)
                                                 : path_make_dirs(root->fd, entry->target, 0755);
                if (fd < 0)
                        return error_errno(err, "cannot create the target");
        }
        if (fd < 0) {
                error_errno(err, "target");
                if (err->code == ENOENT)
                        error_append(err, " (x-create=dir, file or auto makes it)");
                return -1;
        }
        if (entry->remount || (!entry->bind && !entry->type && !entry->move && !entry->detach))
                return TAKE_FD(fd);
        if (fstat(fd, &st) < 0 || fstat(root->fd, &root_stat) < 0)
                return error_errno(err, "target");
        if (st.st_dev == root_stat.st_dev && st.st_ino == root_stat.st_ino)
                return error_set(err, EINVAL, "the target is the root itself");
        return TAKE_FD(fd);
}

/* ---- attributes and propagation of a mount that a descriptor refers to ---- */

static uint64_t to_attributes(uint64_t flags)
{
        static const struct {
                uint64_t flag, attribute;
        } map[] = {
                { MS_RDONLY, MOUNT_ATTR_RDONLY },
                { MS_NOSUID, MOUNT_ATTR_NOSUID },
                { MS_NODEV, MOUNT_ATTR_NODEV },
                { MS_NOEXEC, MOUNT_ATTR_NOEXEC },
                { MS_NODIRATIME, MOUNT_ATTR_NODIRATIME },
                { MS_NOATIME, MOUNT_ATTR_NOATIME },
                { MS_STRICTATIME, MOUNT_ATTR_STRICTATIME },
                { MOUNT_NOSYMFOLLOW, MOUNT_ATTR_NOSYMFOLLOW },
        };
        uint64_t attributes = 0;

        for (size_t i = 0; i < ARRAY_SIZE(map); i++)
                if (flags & map[i].flag)
                        attributes |= map[i].attribute;
        return attributes;
}

/* Whether a propagation word concerns mounts below, of which a plain bind has none. */
static bool propagates_below(const struct mount_entry *entry)
{
        return entry->propagation_recursive && (entry->recursive || !entry->bind || entry->remount);
}

/* "rro" and its like, which mount(2) does not have. 0, or -1 with errno. */
static int set_attributes_below(int fd, const struct mount_entry *entry)
{
        struct mount_attributes change = {
                .set = to_attributes(entry->below_set),
                .clear = to_attributes(entry->below_clear),
        };

        if ((entry->below_set | entry->below_clear) & ATIME_FLAGS)
                change.clear |= MOUNT_ATTR__ATIME;
        if ((!change.set && !change.clear) || sys_mount_setattr(fd, AT_RECURSIVE, &change) == 0)
                return 0;
        if (errno != EPERM)
                return -1;
        /* Flags that are locked, as in set_attributes. */
        change.clear = 0;
        change.set &= ~(uint64_t)(MOUNT_ATTR__ATIME | MOUNT_ATTR_NODIRATIME);
        return sys_mount_setattr(fd, AT_RECURSIVE, &change);
}

/* mount_setattr for everything that the entry asks for. 0, or -1 with errno. */
static int set_attributes(int fd, const struct mount_entry *entry)
{
        struct mount_attributes change = {
                .set = to_attributes(entry->attr_set),
                .clear = to_attributes(entry->attr_clear),
        };
        bool below = propagates_below(entry);

        /* The access time words are one field, which is cleared as a whole. */
        if ((entry->attr_set | entry->attr_clear) & ATIME_FLAGS)
                change.clear |= MOUNT_ATTR__ATIME;
        if (!below)
                change.propagation = entry->propagation;
        if (change.set || change.clear || change.propagation) {
                int result = sys_mount_setattr(fd, 0, &change);

                /*
                 * mount_namespaces(7): flags of a mount that came from a more
                 * privileged namespace are locked, those of access times in either
                 * direction. "rw" on such a mount has always meant "as writable as
                 * it is".
                 */
                if (result < 0 && errno == EPERM) {
                        change.clear = 0;
                        change.set &= ~(uint64_t)(MOUNT_ATTR__ATIME | MOUNT_ATTR_NODIRATIME);
                        result = sys_mount_setattr(fd, 0, &change);
                }
                if (result < 0)
                        return -1;
        }
        if (below && entry->propagation) {
                struct mount_attributes recursive = { .propagation = entry->propagation };

                if (sys_mount_setattr(fd, AT_RECURSIVE, &recursive) < 0)
                        return -1;
        }
        return set_attributes_below(fd, entry);
}

/* The same by remounting. */
static int set_attributes_by_remount(int fd, const struct mount_entry *entry)
{
        static const struct {
                unsigned long statvfs, flag;
        } map[] = {
                { ST_RDONLY, MS_RDONLY },         { ST_NOSUID, MS_NOSUID },
                { ST_NODEV, MS_NODEV },           { ST_NOEXEC, MS_NOEXEC },
                { ST_NODIRATIME, MS_NODIRATIME }, { ST_NOATIME, MS_NOATIME },
                { ST_RELATIME, MS_RELATIME },
        };
        char path[FD_PATH_SIZE];
        struct statvfs st;
        unsigned long present = 0, kept, set = (unsigned long)entry->attr_set;

        if (entry->below_set || entry->below_clear) {
                errno = ENOSYS;
                return -1;
        }
        (void)fd_path(fd, path);
        if (entry->attr_set || entry->attr_clear) {
                if (fstatvfs(fd, &st) < 0)
                        return -1;
                for (size_t i = 0; i < ARRAY_SIZE(map); i++)
                        if (st.f_flag & map[i].statvfs)
                                present |= map[i].flag;
                kept = present & ~(unsigned long)entry->attr_clear;
                if (set & ATIME_FLAGS)
                        kept &= ~(unsigned long)ATIME_FLAGS;
                if (mount(NULL, path, NULL, MS_REMOUNT | MS_BIND | set | kept, NULL) < 0) {
                        if (errno != EPERM)
                                return -1;
                        set &= ~(unsigned long)(ATIME_FLAGS | MS_NODIRATIME); /* as above */
                        if (mount(NULL, path, NULL, MS_REMOUNT | MS_BIND | set | present, NULL) < 0)
                                return -1;
                }
        }
        if (entry->propagation)
                return mount(NULL, path, NULL,
                             entry->propagation | (propagates_below(entry) ? MS_REC : 0), NULL);
        return 0;
}

static int change_mount(int fd, const struct mount_entry *entry, struct error *err)
{
        if (set_attributes(fd, entry) == 0)
                return 0;
        if ((errno == ENOSYS || errno == EPERM) && set_attributes_by_remount(fd, entry) == 0)
                return 0;
        error_errno(err, "cannot change its flags");
        if (err->code == EINVAL)
                error_append(err, " (the target is not a mount point)");
        return -1;
}

/* ---- the kinds of entries ---- */

/*
 * Bind with mount(2), which needs a second look at the target to reach the new
 * mount. Somebody else may write to the root at the same time, so what is found
 * there must be what was bound.
 */
static int bind_by_mount(const struct mount_entry *entry, const struct mount_root *root,
                         const char *source, int target, struct error *err)
{
        char path[FD_PATH_SIZE];
        struct stat expected, found;
        auto_close int mounted = -1;

        if (mount(source, fd_path(target, path), NULL, MS_BIND | (entry->recursive ? MS_REC : 0),
                  NULL) < 0)
                return error_errno(err, "bind");
        if (!entry->attr_set && !entry->attr_clear && !entry->propagation && !entry->below_set &&
            !entry->below_clear)
                return 0;
        mounted = path_open_in_root(root->fd, entry->target, O_PATH, 0);
        if (mounted < 0 || fstat(mounted, &found) < 0 || stat(source, &expected) < 0)
                return error_errno(err, "target");
        if (found.st_dev != expected.st_dev || found.st_ino != expected.st_ino)
                return error_set(err, EBUSY, "the target was changed while it was mounted");
        if (set_attributes_by_remount(mounted, entry) < 0)
                return error_errno(err, "cannot change its flags");
        return 0;
}

static int bind_tree(const struct mount_entry *entry, const struct mount_root *root,
                     const char *source, int target, struct error *err)
{
        const unsigned int how = OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC |
                                 (entry->recursive ? AT_RECURSIVE : 0u);
        auto_close int tree = entry->has_tree ? fcntl(entry->tree_fd, F_DUPFD_CLOEXEC, 0)
                                              : sys_open_tree(AT_FDCWD, source, how);

        if (tree < 0 && errno != ENOSYS && errno != EPERM)
                return error_errno(err, "source");
        /* No such calls, or a seccomp filter of an outer container that does not know them. */
        if (tree < 0)
                return bind_by_mount(entry, root, source, target, err);
        if (set_attributes(tree, entry) < 0) {
                if (errno == ENOSYS)
                        return bind_by_mount(entry, root, source, target, err);
                return error_errno(err, "cannot change its flags");
        }
        if (sys_attach_mount(tree, target) < 0)
                return error_errno(err, "attach");
        return 0;
}

/* move_mount(2) would only say EINVAL. */
static int check_types(const char *source, int target, struct error *err)
{
        struct stat source_stat, target_stat;

        if (stat(source, &source_stat) < 0)
                return error_errno(err, "source");
        if (fstat(target, &target_stat) < 0)
                return error_errno(err, "target");
        if (S_ISDIR(source_stat.st_mode) != S_ISDIR(target_stat.st_mode))
                return error_set(err, ENOTDIR, "one is a directory and the other is not");
        return 0;
}

static int apply_bind(const struct mount_entry *entry, const struct mount_root *root,
                      struct error *err)
{
        auto_cleanup(source_release) struct source source = { .fd = -1 };
        auto_close int target = -1;

        /* A volume of the image is bound over itself: making the target makes the source. */
        if (source_open(&source, entry, root, err) < 0) {
                if (err->code != ENOENT ||
                    (entry->create != MOUNT_CREATE_DIR && entry->create != MOUNT_CREATE_FILE))
                        return -1;
                target = target_open(entry, root, NULL, err);
                if (target < 0 || source_open(&source, entry, root, err) < 0)
                        return -1;
        } else {
                /* A missing source must not leave an empty target behind. */
                if (entry->create != MOUNT_CREATE_NONE && access(source.path, F_OK) < 0)
                        return error_errno(err, "source");
                target = target_open(entry, root, source.path, err);
        }
        if (target < 0 || check_types(source.path, target, err) < 0)
                return -1;
        if (bind_tree(entry, root, source.path, target, err) == 0)
                return 0;
        if (err->code == EINVAL && !entry->recursive)
                error_append(err, " (mounts below the source cannot be left out inside a user "
                                  "namespace: use rbind)");
        return -1;
}

/* ---- files in memory ---- */

/* The name of the one file in the file system that is made for it. */
#define MEMORY_FILE "/content"

static int write_memory(const char *path, const struct mount_entry *entry)
{
        auto_close int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0444);

        return fd < 0 ? -1 : io_write_full(fd, entry->content, entry->content_length);
}

static int bind_memory(const struct mount_entry *entry, const struct mount_root *root, int target,
                       struct error *err)
{
        auto_strbuf struct strbuf path = STRBUF_INIT;

        if (strbuf_printf(&path, "%s" MEMORY_FILE, root->path) < 0)
                return error_no_memory(err);
        if (write_memory(path.data, entry) < 0)
                return error_errno(err, "cannot keep it in memory");
        if (check_types(path.data, target, err) < 0)
                return -1;
        return bind_tree(entry, root, path.data, target, err);
}

/*
 * Bind a file that exists in memory only. A file system for it stands over the root for the
 * moment: of one that is mounted nowhere, nothing can be bound before Linux 6.15. The bind
 * keeps it when it is taken away again.
 */
static int apply_content(const struct mount_entry *entry, const struct mount_root *root,
                         struct error *err)
{
        auto_close int target = target_open(entry, root, NULL, err);
        int result;

        if (target < 0)
                return -1;
        if (!root->path)
                return error_set(err, EOPNOTSUPP, "no files in memory can be mounted here");
        if (mount("tmpfs", root->path, "tmpfs", MS_NOSUID | MS_NODEV | MS_NOEXEC, "mode=755") < 0)
                return error_errno(err, "type tmpfs");
        result = bind_memory(entry, root, target, err);
        if (umount2(root->path, MNT_DETACH) < 0 && result == 0)
                return error_errno(err, "cannot take the memory of the file away again");
        return result;
}

/*
 * An image file, which the kernel takes from devices only. Returns 0; 1 when the source is
 * something else; or -1 with *err.
 */
static int apply_image(const struct mount_entry *entry, const struct mount_root *root,
                       struct error *err)
{
        auto_cleanup(source_release) struct source source = { .fd = -1 };
        auto_close int target = -1;
        struct stat st;

        if (source_open(&source, entry, root, err) < 0)
                return -1;
        if (stat(source.path, &st) < 0)
                return error_errno(err, "source");
        if (!S_ISREG(st.st_mode))
                return 1;
        if (entry->data)
                return error_set(err, EINVAL, "an image has no option \"%.200s\"", entry->data);
        if (!root->mount_image)
                return error_set(err, EOPNOTSUPP, "no images can be mounted here");
        target = target_open(entry, root, NULL, err);
        if (target < 0)
                return -1;
        return root->mount_image(root->image_context, entry, source.path, target, err);
}

static int apply_file_system(const struct mount_entry *entry, const struct mount_root *root,
                             struct error *err)
{
        auto_close int target = -1, mounted = -1;
        char path[FD_PATH_SIZE];
        int image = entry->image ? apply_image(entry, root, err) : 1;

        if (image <= 0)
                return image;
        target = target_open(entry, root, NULL, err);
        if (target < 0)
                return -1;
        if (mount(entry->source ? entry->source : "none", fd_path(target, path), entry->type,
                  (unsigned long)(entry->attr_set | entry->below_set), entry->data) < 0) {
                error_errno(err, "type %s", entry->type);
                if (err->code == ENODEV)
                        error_append(err, " (the kernel does not know this file system)");
                return -1;
        }
        /* A new mount is private already, and "slave" changes nothing on a private one. */
        if (!(entry->propagation & (MS_SHARED | MS_UNBINDABLE)))
                return 0;
        mounted = path_open_in_root(root->fd, entry->target, O_PATH, 0);
        if (mounted < 0 || mount(NULL, fd_path(mounted, path), NULL, entry->propagation, NULL) < 0)
                return error_errno(err, "propagation");
        return 0;
}

static int apply_move(const struct mount_entry *entry, const struct mount_root *root,
                      struct error *err)
{
        auto_cleanup(source_release) struct source source = { .fd = -1 };
        auto_close int target = -1;
        char path[FD_PATH_SIZE];

        if (source_open(&source, entry, root, err) < 0)
                return -1;
        target = target_open(entry, root, source.path, err);
        if (target < 0)
                return -1;
        if (mount(source.path, fd_path(target, path), NULL, MS_MOVE, NULL) < 0)
                return error_errno(err, "move");
        return 0;
}

/* Entries for a mount that is there already: remount, detach, change of propagation. */
static int apply_to_existing(const struct mount_entry *entry, const struct mount_root *root,
                             struct error *err)
{
        auto_close int target = target_open(entry, root, NULL, err);
        char path[FD_PATH_SIZE];

        if (target < 0)
                return -1;
        if (entry->detach) {
                if (umount2(fd_path(target, path), MNT_DETACH) < 0)
                        return error_errno(err, "detach");
                return 0;
        }
        if (!entry->remount || entry->bind)
                return change_mount(target, entry, err);
        if (mount(NULL, fd_path(target, path), NULL, MS_REMOUNT | (unsigned long)entry->attr_set,
                  entry->data) < 0)
                return error_errno(err, "remount");
        return 0;
}

static int apply_entry(const struct mount_entry *entry, const struct mount_root *root,
                       struct error *err)
{
        if (entry->detach || entry->remount)
                return apply_to_existing(entry, root, err);
        if (entry->move)
                return apply_move(entry, root, err);
        if (entry->content)
                return apply_content(entry, root, err);
        if (entry->bind)
                return apply_bind(entry, root, err);
        if (entry->type)
                return apply_file_system(entry, root, err);
        return apply_to_existing(entry, root, err);
}

/* Say which entry of which file failed. Always -1. */
static int prefix_entry(const struct mount_entry *entry, struct error *err)
{
        error_prefix(err, "mount %s at %s", entry->source ? entry->source : "none", entry->target);
        return entry->origin ? error_prefix(err, "%s", entry->origin) : -1;
}

int mount_plan_check(const struct mount_plan *plan, const char *root_path, int first, int last,
                     struct error *err)
{
        for (size_t i = 0; i < plan->count; i++) {
                const struct mount_entry *entry = &plan->entries[i];
                bool has_path = (entry->bind && !entry->remount) || entry->move || entry->image;

                if (entry->pass < first || entry->pass > last || !has_path || entry->nofail ||
                    !entry->source || path_below(entry->source, root_path) ||
                    access(entry->source, F_OK) == 0)
                        continue;
                error_errno(err, "source");
                return prefix_entry(entry, err);
        }
        return 0;
}

int mount_plan_apply(const struct mount_plan *plan, const struct mount_root *root, int first,
                     int last, struct report *report, struct error *err)
{
        for (size_t i = 0; i < plan->count; i++) {
                const struct mount_entry *entry = &plan->entries[i];

                if (entry->pass < first || entry->pass > last)
                        continue;
                if (apply_entry(entry, root, err) == 0)
                        continue;
                prefix_entry(entry, err);
                if (!entry->nofail)
                        return -1;
                if (!entry->silent)
                        report_warn(report, "%s", err->message);
        }
        return 0;
}
