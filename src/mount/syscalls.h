/*
 * The mount calls of Linux 5.2 and 5.12 (open_tree(2), move_mount(2),
 * mount_setattr(2)) for C libraries that do not declare them: glibc has them since
 * 2.36 only, musl not at all, and <linux/mount.h> clashes with <sys/mount.h>.
 */
#pragma once

#include <fcntl.h>
#include <stdint.h>
#include <sys/mount.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef OPEN_TREE_CLONE
#define OPEN_TREE_CLONE   1
#define OPEN_TREE_CLOEXEC O_CLOEXEC
#endif
#ifndef AT_RECURSIVE
#define AT_RECURSIVE 0x8000
#endif
#ifndef MOVE_MOUNT_F_EMPTY_PATH
#define MOVE_MOUNT_F_EMPTY_PATH 0x04
#define MOVE_MOUNT_T_EMPTY_PATH 0x40
#endif
#ifndef MOUNT_ATTR_RDONLY
#define MOUNT_ATTR_RDONLY      0x01
#define MOUNT_ATTR_NOSUID      0x02
#define MOUNT_ATTR_NODEV       0x04
#define MOUNT_ATTR_NOEXEC      0x08
#define MOUNT_ATTR__ATIME      0x70
#define MOUNT_ATTR_RELATIME    0x00
#define MOUNT_ATTR_NOATIME     0x10
#define MOUNT_ATTR_STRICTATIME 0x20
#define MOUNT_ATTR_NODIRATIME  0x80
#endif

#ifndef MOUNT_ATTR_NOSYMFOLLOW
#define MOUNT_ATTR_NOSYMFOLLOW 0x200000 /* Linux 5.14 */
#endif
#ifndef MOUNT_ATTR_IDMAP
#define MOUNT_ATTR_IDMAP 0x100000
#endif

/* struct mount_attr of the kernel, under a name that no C library has. */
struct mount_attributes {
        uint64_t set, clear, propagation, userns_fd;
};

static inline int sys_open_tree(int dir_fd, const char *path, unsigned int flags)
{
        return (int)syscall(SYS_open_tree, dir_fd, path, flags);
}

/* Attach a detached tree on top of what target_fd refers to. */
static inline int sys_attach_mount(int tree_fd, int target_fd)
{
        return (int)syscall(SYS_move_mount, tree_fd, "", target_fd, "",
                            MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH);
}

static inline int sys_mount_setattr(int mount_fd, unsigned int flags,
                                    const struct mount_attributes *attributes)
{
        return (int)syscall(SYS_mount_setattr, mount_fd, "", AT_EMPTY_PATH | flags, attributes,
                            sizeof(*attributes));
}
