#include "slurm/runtime_dir.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "util/cleanup.h"

int runtime_dir_open(const char *path, struct error *err)
{
        auto_close int fd = -1;
        struct stat st;
        bool made = mkdir(path, 0755) == 0;

        if (!made && errno != EEXIST)
                return error_errno(err, "couldn't make %s", path);
        fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (fd < 0 || fstat(fd, &st) < 0 || (made && fchmod(fd, 0755) < 0))
                return error_errno(err, "%s", path);
        /* Whoever can rename in there would choose what root gives away. */
        if (st.st_uid != geteuid() || (!made && st.st_mode & (S_IWGRP | S_IWOTH)))
                return error_set(err, EPERM, "runtime_path %s: others than root can write there",
                                 path);
        return TAKE_FD(fd);
}

int runtime_dir_make(const char *path, uid_t uid, gid_t gid, struct error *err)
{
        auto_close int fd = runtime_dir_open(path, err);
        char name[16];
        struct stat st;

        if (fd < 0)
                return -1;
        (void)snprintf(name, sizeof(name), "%u", uid);
        if (mkdirat(fd, name, 0700) == 0) {
                if (fchownat(fd, name, uid, gid, AT_SYMLINK_NOFOLLOW) == 0)
                        return 0;
                (void)error_errno(err, "couldn't give %s/%s to user %u", path, name, uid);
                (void)unlinkat(fd, name, AT_REMOVEDIR);
                return -1;
        }
        if (errno != EEXIST)
                return error_errno(err, "couldn't make %s/%s", path, name);
        if (fstatat(fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
                return error_errno(err, "%s/%s", path, name);
        if (!S_ISDIR(st.st_mode) || st.st_uid != uid)
                return error_set(err, EPERM, "%s/%s is not a directory of user %u", path, name,
                                 uid);
        return 0;
}
