/*
 * Devices of a container: those that every Linux container has (runtime specification,
 * config-linux, "Default Devices") and those of its configuration. A user namespace can
 * make no device, so the host's are bound there.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "oci/container.h"
#include "util/path.h"
#include "util/root_file.h"

static const struct oci_device defaults[] = {
        { (char *)"/dev/null", 'c', 1, 3, 0666, 0, 0 },
        { (char *)"/dev/zero", 'c', 1, 5, 0666, 0, 0 },
        { (char *)"/dev/full", 'c', 1, 7, 0666, 0, 0 },
        { (char *)"/dev/random", 'c', 1, 8, 0666, 0, 0 },
        { (char *)"/dev/urandom", 'c', 1, 9, 0666, 0, 0 },
        { (char *)"/dev/tty", 'c', 5, 0, 0666, 0, 0 },
};

static const struct {
        const char *path, *target;
} links[] = {
        { "/dev/fd", "/proc/self/fd" },       { "/dev/stdin", "/proc/self/fd/0" },
        { "/dev/stdout", "/proc/self/fd/1" }, { "/dev/stderr", "/proc/self/fd/2" },
        { "/dev/ptmx", "pts/ptmx" },
};

/* A /dev of the host or of a volume is as it is. */
static bool dev_is_bound(const struct mount_plan *mounts)
{
        for (size_t i = 0; i < mounts->count; i++)
                if (mounts->entries[i].bind && strcmp(mounts->entries[i].target, "/dev") == 0)
                        return true;
        return false;
}

static mode_t type_bits(const struct oci_device *device)
{
        return device->type == 'b' ? S_IFBLK : device->type == 'p' ? S_IFIFO : S_IFCHR;
}

/* 0, or -1 with errno. */
static int make_node(const struct oci_device *device, const struct mount_root *root)
{
        char name[NAME_MAX + 1];
        auto_close int parent = root_file_open_parent(root->fd, device->path, true, name);

        if (parent < 0)
                return -1;
        if (mknodat(parent, name, type_bits(device) | device->mode,
                    makedev(device->major, device->minor)) < 0)
                return errno == EEXIST ? 0 : -1;
        /* The umask has had its say in mknod(2). */
        (void)fchmodat(parent, name, device->mode, 0);
        (void)fchownat(parent, name, device->uid, device->gid, AT_SYMLINK_NOFOLLOW);
        return 0;
}

static int bind_node(const struct creation *creation, const struct oci_device *device,
                     const struct mount_root *root, struct error *err)
{
        struct mount_entry entry = {
                .source = device->path,
                .target = device->path,
                .bind = true,
                .create = MOUNT_CREATE_FILE,
        };
        const struct mount_plan plan = { .entries = &entry, .count = 1 };
        struct stat st;

        if (stat(device->path, &st) < 0)
                return error_errno(err, "the host's %s", device->path);
        if ((st.st_mode & S_IFMT) != type_bits(device) ||
            st.st_rdev != makedev(device->major, device->minor))
                return error_set(err, ENODEV,
                                 "%s of the host is not the device %c %u:%u, and no other can be "
                                 "made in a user namespace",
                                 device->path, device->type, device->major, device->minor);
        return mount_plan_apply(&plan, root, 0, 0, creation->report, err);
}

static int make_device(const struct creation *creation, const struct oci_device *device,
                       const struct mount_root *root, struct error *err)
{
        if (!creation->user_namespace || device->type == 'p') {
                if (make_node(device, root) == 0)
                        return 0;
                if (errno != EPERM)
                        return error_errno(err, "%s", device->path);
        }
        return bind_node(creation, device, root, err);
}

static int make_link(size_t i, const struct mount_root *root, struct error *err)
{
        char name[NAME_MAX + 1];
        auto_close int parent = path_open_parent(root->fd, links[i].path, true, name);

        if (parent < 0 || (symlinkat(links[i].target, parent, name) < 0 && errno != EEXIST))
                return error_errno(err, "%s", links[i].path);
        return 0;
}

/* Where the terminal will be bound, once it is there. */
static int make_console(const struct mount_root *root, struct error *err)
{
        char name[NAME_MAX + 1];
        auto_close int parent = root_file_open_parent(root->fd, "/dev/console", true, name);

        if (parent < 0 || (mknodat(parent, name, S_IFREG | 0600, 0) < 0 && errno != EEXIST))
                return error_errno(err, "/dev/console");
        return 0;
}

static int make_defaults(const struct creation *creation, const struct mount_root *root,
                         struct error *err)
{
        for (size_t i = 0; i < ARRAY_SIZE(defaults); i++)
                if (make_device(creation, &defaults[i], root, err) < 0)
                        return -1;
        for (size_t i = 0; i < ARRAY_SIZE(links); i++)
                if (make_link(i, root, err) < 0)
                        return -1;
        return creation->spec.process.terminal ? make_console(root, err) : 0;
}

int devices_make(const struct creation *creation, const struct mount_root *root, struct error *err)
{
        const struct oci_spec *spec = &creation->spec;

        if (!dev_is_bound(&spec->mounts) && make_defaults(creation, root, err) < 0)
                return -1;
        for (size_t i = 0; i < spec->device_count; i++)
                if (make_device(creation, &spec->devices[i], root, err) < 0)
                        return error_prefix(err, "devices");
        return 0;
}
