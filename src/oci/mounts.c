/*
 * The mounts of a configuration. They are carried out one by one: the kernel's own file
 * systems cannot be mounted in every namespace, and the host's are bound then, which show
 * the same where the container shares the host's namespace of that kind.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#include "oci/container.h"
#include "util/path.h"

#define CGROUP_ROOT "/sys/fs/cgroup"

static int apply(const struct creation *creation, const struct mount_root *root,
                 struct mount_entry *entry, struct error *err)
{
        const struct mount_plan plan = { .entries = entry, .count = 1 };

        return mount_plan_apply(&plan, root, entry->pass, entry->pass, creation->report, err);
}

/* ---- the kernel's file systems ---- */

static const struct {
        const char *type, *source;
} on_the_host[] = {
        { "proc", "/proc" },         { "sysfs", "/sys" },          { "mqueue", "/dev/mqueue" },
        { "cgroup", CGROUP_ROOT },   { "cgroup2", CGROUP_ROOT },
};

static const char *host_path(const char *type)
{
        for (size_t i = 0; i < ARRAY_SIZE(on_the_host); i++)
                if (strcmp(on_the_host[i].type, type) == 0)
                        return on_the_host[i].source;
        return NULL;
}

static int bind_from_host(const struct creation *creation, const struct mount_root *root,
                          const struct mount_entry *entry, struct error *err)
{
        struct mount_entry bind = *entry;
        struct error why = *err;

        bind.source = (char *)host_path(entry->type);
        bind.type = bind.data = NULL;
        bind.bind = bind.recursive = true;
        /* Access times of mounts that others made are locked, and nobody's wish here. */
        bind.attr_set &= MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC;
        if (apply(creation, root, &bind, err) == 0)
                return 0;
        *err = why;
        return -1;
}

static bool host_has_cgroup2(void)
{
        struct statfs st;

        return statfs(CGROUP_ROOT, &st) == 0 && st.f_type == CGROUP2_SUPER_MAGIC;
}

/*
 * "cgroup" is whichever version the host has. Of version 1, a container here has no cgroups
 * of its own, and sees the host's.
 */
static int mount_cgroup(const struct creation *creation, const struct mount_root *root,
                        const struct mount_entry *entry, struct error *err)
{
        struct mount_entry cgroup2 = *entry;

        cgroup2.type = cgroup2.source = (char *)"cgroup2";
        cgroup2.data = NULL;
        if (host_has_cgroup2() && apply(creation, root, &cgroup2, err) == 0)
                return 0;
        return bind_from_host(creation, root, entry, err);
}

/* Options less those that begin with a word. malloc'd, or NULL without memory. */
static char *without(const char *data, const char *word)
{
        auto_strbuf struct strbuf kept = STRBUF_INIT;

        (void)strbuf_append(&kept, "");
        while (data && *data) {
                size_t length = strcspn(data, ",");

                if (strncmp(data, word, strlen(word)) != 0) {
                        (void)strbuf_append(&kept, kept.length > 0 ? "," : "");
                        (void)strbuf_append_mem(&kept, data, length);
                }
                data += length;
                data += *data == ',';
        }
        return strbuf_take(&kept);
}

/* The group of terminals (gid=5) is one more id, which a map of one does not have: EINVAL. */
static int mount_devpts(const struct creation *creation, const struct mount_root *root,
                        struct mount_entry *entry, struct error *err)
{
        struct mount_entry devpts = *entry;
        auto_free char *data = without(entry->data, "gid=");

        if (!data)
                return error_no_memory(err);
        devpts.data = data;
        if (apply(creation, root, entry, err) == 0)
                return 0;
        return err->code == EINVAL ? apply(creation, root, &devpts, err) : -1;
}

/* ---- file systems in memory ---- */

/* What is there before the mount is reached by its descriptor after it. */
static int mount_copy(const struct creation *creation, const struct mount_root *root,
                      const struct mount_entry *entry, struct error *err)
{
        auto_close int below = path_open_in_root(root->fd, entry->target, O_RDONLY | O_DIRECTORY,
                                                 0);
        auto_close int mounted = -1;
        auto_free char *data = without(entry->data, "tmpcopyup");
        struct mount_entry tmpfs = *entry;

        if (!data)
                return error_no_memory(err);
        tmpfs.data = data;
        /* It can be written to until it is full of what it shall have. */
        tmpfs.attr_set &= ~(uint64_t)MS_RDONLY;
        if (apply(creation, root, &tmpfs, err) < 0)
                return -1;
        mounted = path_open_in_root(root->fd, entry->target, O_RDONLY | O_DIRECTORY, 0);
        if (mounted < 0)
                return error_errno(err, "%s", entry->target);
        if (below >= 0 && copy_up(below, mounted, err) < 0)
                return error_prefix(err, "%s: tmpcopyup", entry->target);
        if (!(entry->attr_set & MS_RDONLY))
                return 0;
        tmpfs.remount = tmpfs.bind = true;
        tmpfs.attr_set |= MS_RDONLY;
        return apply(creation, root, &tmpfs, err);
}

static int apply_one(const struct creation *creation, const struct mount_root *root,
                     struct mount_entry *entry, struct error *err)
{
        if (!entry->type)
                return apply(creation, root, entry, err);
        if (strcmp(entry->type, "cgroup") == 0)
                return mount_cgroup(creation, root, entry, err);
        if (strcmp(entry->type, "devpts") == 0)
                return mount_devpts(creation, root, entry, err);
        if (strcmp(entry->type, "tmpfs") == 0 && entry->data && strstr(entry->data, "tmpcopyup"))
                return mount_copy(creation, root, entry, err);
        if (apply(creation, root, entry, err) == 0)
                return 0;
        /* EPERM: a namespace that is not this user namespace's; EBUSY: it is there already. */
        if (host_path(entry->type) && (err->code == EPERM || err->code == EBUSY))
                return bind_from_host(creation, root, entry, err);
        return -1;
}

int mounts_apply(const struct creation *creation, const struct mount_root *root, struct error *err)
{
        const struct mount_plan *plan = &creation->spec.mounts;

        for (size_t i = 0; i < plan->count; i++)
                if (apply_one(creation, root, &plan->entries[i], err) < 0)
                        return error_prefix(err, "mounts");
        return 0;
}

/* ---- paths that are covered ---- */

/* A file becomes /dev/null, a directory an empty one; what is not there needs no mask. */
static int mask(const struct creation *creation, const struct mount_root *root, const char *path,
                struct error *err)
{
        auto_close int fd = path_open_in_root(root->fd, path, O_PATH, 0);
        struct mount_entry entry = { .target = (char *)path };
        struct stat st;

        if (fd < 0)
                return errno == ENOENT || errno == ENOTDIR ? 0 : error_errno(err, "%s", path);
        if (fstat(fd, &st) < 0)
                return error_errno(err, "%s", path);
        if (S_ISDIR(st.st_mode)) {
                entry.source = entry.type = (char *)"tmpfs";
                entry.attr_set = MS_RDONLY;
                entry.data = (char *)"mode=755";
        } else {
                entry.source = (char *)"/dev/null";
                entry.bind = true;
        }
        return apply(creation, root, &entry, err);
}

static int make_unwritable(const struct creation *creation, const struct mount_root *root,
                           const char *path, struct error *err)
{
        auto_close int fd = path_open_in_root(root->fd, path, O_PATH, 0);
        auto_free char *source = NULL;
        struct mount_entry entry = {
                .target = (char *)path,
                .bind = true,
                .recursive = true,
                .attr_set = MS_RDONLY,
        };

        if (fd < 0)
                return errno == ENOENT || errno == ENOTDIR ? 0 : error_errno(err, "%s", path);
        if (asprintf(&source, "%s/%s", root->path, path) < 0)
                return error_no_memory(err);
        entry.source = source;
        return apply(creation, root, &entry, err);
}

int mounts_cover(const struct creation *creation, const struct mount_root *root, struct error *err)
{
        const struct strlist *masked = &creation->spec.masked;
        const struct strlist *unwritable = &creation->spec.unwritable;

        for (size_t i = 0; i < unwritable->count; i++)
                if (make_unwritable(creation, root, unwritable->items[i], err) < 0)
                        return error_prefix(err, "readonlyPaths");
        for (size_t i = 0; i < masked->count; i++)
                if (mask(creation, root, masked->items[i], err) < 0)
                        return error_prefix(err, "maskedPaths");
        return 0;
}
