/*
 * The directories that enroot writes to. None is made here: where one is missing, the
 * nearest one above it that exists is looked at.
 */
#include <errno.h>
#include <linux/magic.h>
#include <stdio.h>
#include <string.h>
#include <sys/statvfs.h>
#include <sys/vfs.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "check/probe.h"
#include "util/cleanup.h"

/* Less than this is no room for anything, and for most images. */
#define SPACE_NEEDED (UINT64_C(16) << 20)
#define SPACE_WANTED (UINT64_C(2) << 30)

#define GIB (1024.0 * 1024 * 1024)

#ifndef NFS_SUPER_MAGIC
#define NFS_SUPER_MAGIC 0x6969
#endif

/* Numbers of statfs(2); those without a name here are in no header. */
static const struct {
        unsigned long magic;
        const char *name;
} file_systems[] = {
        { EXT4_SUPER_MAGIC, "ext4" },
        { XFS_SUPER_MAGIC, "xfs" },
        { BTRFS_SUPER_MAGIC, "btrfs" },
        { TMPFS_MAGIC, "tmpfs" },
        { OVERLAYFS_SUPER_MAGIC, "overlay" },
        { NFS_SUPER_MAGIC, "nfs" },
        { FUSE_SUPER_MAGIC, "fuse" },
        { RAMFS_MAGIC, "ramfs" },
        { F2FS_SUPER_MAGIC, "f2fs" },
        { CEPH_SUPER_MAGIC, "ceph" },
        { SMB2_SUPER_MAGIC, "smb" },
        { V9FS_MAGIC, "9p" },
        { 0x2fc12fc1, "zfs" },
        { 0x0bd00bd0, "lustre" },
        { 0x47504653, "gpfs" },
        { 0x19830326, "beegfs" },
        { 0x61756673, "aufs" },
};

/* What ENROOT_KIND_PATH is set to. */
static const char *configured(const struct probe_context *context, const char *kind)
{
        if (strcmp(kind, "DATA") == 0)
                return context->config->data_path;
        if (strcmp(kind, "CACHE") == 0)
                return context->config->cache_path;
        if (strcmp(kind, "TEMP") == 0)
                return context->config->temp_path;
        return context->config->runtime_path;
}

/* The path, or the nearest directory above it that exists; malloc'd, or NULL with *err. */
static char *find_existing(const char *wanted, struct error *err)
{
        auto_free char *path = strdup(wanted);

        while (path && access(path, F_OK) < 0) {
                char *slash = strrchr(path, '/');

                if (errno != ENOENT || !slash) {
                        error_errno(err, "%s", path);
                        return NULL;
                }
                slash[slash == path] = '\0';
        }
        if (!path)
                error_no_memory(err);
        return TAKE_PTR(path);
}

/* Advice to use another directory. */
static void mend_path(const struct probe *probe, struct probe_answer *answer)
{
        (void)snprintf(answer->mend, sizeof(answer->mend),
                       "set ENROOT_%s_PATH to another directory, in enroot.conf or the environment",
                       probe->subject);
}

static const char *file_system_name(const char *path)
{
        struct statfs st;

        if (statfs(path, &st) < 0)
                return "unknown";
        for (size_t i = 0; i < ARRAY_SIZE(file_systems); i++)
                if ((unsigned long)st.f_type == file_systems[i].magic)
                        return file_systems[i].name;
        return "another file system";
}

int probe_path(const struct probe_context *context, const struct probe *probe,
               struct probe_answer *answer, struct error *err)
{
        const char *wanted = configured(context, probe->subject);
        auto_free char *path = find_existing(wanted, err);

        mend_path(probe, answer);
        if (!path)
                return -1;
        if (access(path, W_OK | X_OK) < 0) {
                error_errno(err, "%s", path);
                return strcmp(path, wanted) == 0
                               ? -1
                               : error_append(err, ", and %s is not there yet", wanted);
        }
        return probe_found(answer, "%.180s, %s", wanted, file_system_name(path));
}

int probe_path_space(const struct probe_context *context, const struct probe *probe,
                     struct probe_answer *answer, struct error *err)
{
        auto_free char *path = find_existing(configured(context, probe->subject), err);
        struct statvfs st;
        uint64_t space;

        mend_path(probe, answer);
        if (!path)
                return -1;
        if (statvfs(path, &st) < 0)
                return error_errno(err, "%s", path);
        space = (uint64_t)st.f_bavail * st.f_frsize;
        /* f_files is 0 where a file system has no fixed number of inodes. */
        if (st.f_files > 0 && st.f_favail == 0)
                return error_set(err, ENOSPC, "%s: no inode is free", path);
        if (space < SPACE_WANTED) {
                answer->harmless = space >= SPACE_NEEDED;
                return error_set(err, ENOSPC, "%s: %.2f GiB free", path, (double)space / GIB);
        }
        return probe_found(answer, "%.1f GiB", (double)space / GIB);
}

int probe_path_exec(const struct probe_context *context, const struct probe *probe,
                    struct probe_answer *answer, struct error *err)
{
        auto_free char *path = find_existing(configured(context, probe->subject), err);
        struct statvfs st;

        mend_path(probe, answer);
        if (!path)
                return -1;
        if (statvfs(path, &st) < 0)
                return error_errno(err, "%s", path);
        if (st.f_flag & ST_NOEXEC)
                return error_set(err, EACCES, "%s is mounted noexec", path);
        return 0;
}

int probe_path_xattrs(const struct probe_context *context, const struct probe *probe,
                      struct probe_answer *answer, struct error *err)
{
        auto_free char *path = find_existing(configured(context, probe->subject), err);

        mend_path(probe, answer);
        if (!path)
                return -1;
        if (getxattr(path, "user.enroot", NULL, 0) < 0 && errno != ENODATA)
                return error_errno(err, "%s", path);
        return 0;
}
