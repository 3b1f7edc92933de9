#include <errno.h>

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

int mount_entry_map_owners(struct mount_entry *entry, int user_namespace_fd, bool recursive,
                           struct error *err)
{
        const struct mount_attributes mapped = {
                .set = MOUNT_ATTR_IDMAP,
                .userns_fd = (uint64_t)user_namespace_fd,
        };
        auto_close int tree = sys_open_tree(AT_FDCWD, entry->source,
                                            OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC |
                                                    (entry->recursive ? AT_RECURSIVE : 0u));

        if (tree < 0)
                (void)error_errno(err, "%s", entry->source);
        else if (sys_mount_setattr(tree, recursive ? AT_RECURSIVE : 0, &mapped) == 0) {
                entry->tree_fd = TAKE_FD(tree);
                entry->has_tree = true;
                return 0;
        } else {
                (void)error_errno(err, "%s", entry->source);
        }
        if (err->code == EPERM)
                return error_append(err, " (" MOUNT_OWNERS_HINT ")");
        return err->code == EINVAL
                       ? error_append(err, " (this file system cannot have other owners)")
                       : -1;
}
