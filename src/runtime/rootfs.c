#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "runtime/container.h"

int rootfs_mount_directory(struct container *container, struct error *err)
{
        const char *path = container->start->rootfs;
        struct mount_entry entry = {
                .source = (char *)path,
                .target = (char *)path,
                .bind = true,
                .attr_set = MS_NOSUID | MS_NODEV,
                .propagation = MS_SLAVE,
        };
        struct mount_plan plan = { .entries = &entry, .count = 1 };
        auto_close int host = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
        struct mount_root host_root = { .fd = host };

        if (host < 0)
                return error_errno(err, "/");
        if (mount_plan_apply(&plan, &host_root, 0, 0, container->report, err) < 0)
                return -1;
        container->root_path = strdup(path);
        if (!container->root_path)
                return error_no_memory(err);
        container->root.path = container->root_path;
        container->root.fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
        if (container->root.fd < 0)
                return error_errno(err, "%s", path);
        return 0;
}

int rootfs_make_read_only(const struct container *container, struct error *err)
{
        struct mount_entry entry = {
                .target = (char *)"/",
                .bind = true,
                .remount = true,
                .attr_set = MS_RDONLY | MS_NOSUID | MS_NODEV,
        };
        struct mount_plan plan = { .entries = &entry, .count = 1 };

        return mount_plan_apply(&plan, &container->root, 0, 0, container->report, err);
}

int runtime_pivot(int root_fd, const char *name, bool user_namespace, struct error *err)
{
        /*
         * pivot_root(2), "pivot_root(".", ".")": the old root ends up on top of
         * the new one, where the current directory still is, so that no directory
         * is needed to put it.
         */
        if (fchdir(root_fd) < 0 || syscall(SYS_pivot_root, ".", ".") < 0)
                return error_errno(err, "cannot switch to the root %s", name);
        /* Outside of a user namespace, mounts below may be the host's, and would go there, too. */
        if (!user_namespace && mount(NULL, ".", NULL, MS_REC | MS_SLAVE, NULL) < 0)
                return error_errno(err, "cannot detach the mounts from the host");
        if (umount2(".", MNT_DETACH) < 0 || chdir("/") < 0)
                return error_errno(err, "cannot let go of the host's root");
        return 0;
}

int rootfs_pivot(const struct container *container, struct error *err)
{
        return runtime_pivot(container->root.fd, container->root.path, container->user_namespace,
                             err);
}
