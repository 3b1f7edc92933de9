#include "mount/mount.h"
#include "mount/syscalls.h"
#include "util/cleanup.h"

int mount_api_try(const char *source, int target_fd, struct error *err)
{
        const struct mount_attributes read_only = { .set = MOUNT_ATTR_RDONLY };
        auto_close int tree =
                sys_open_tree(AT_FDCWD, source, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_RECURSIVE);

        if (tree < 0)
                return error_errno(err, "open_tree");
        if (sys_mount_setattr(tree, 0, &read_only) < 0)
                return error_errno(err, "mount_setattr");
        if (sys_attach_mount(tree, target_fd) < 0)
                return error_errno(err, "move_mount");
        return 0;
}
