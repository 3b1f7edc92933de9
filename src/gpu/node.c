/* Whether a device node can be opened, and what is in the way. */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "gpu/survey.h"
#include "gpu/sysfs.h"

static bool is_in_group(gid_t gid)
{
        gid_t groups[1024];
        int count = getgroups((int)ARRAY_SIZE(groups), groups);

        for (int i = 0; i < count; i++)
                if (groups[i] == gid)
                        return true;
        return gid == getegid();
}

/* Permissions that leave the user out: because of his groups, or altogether. */
static int explain_permissions(const char *path, char **ret_problem, char **ret_mend,
                               struct error *err)
{
        const struct group *group;
        struct stat st;

        if (stat(path, &st) < 0 || !(st.st_mode & 060) || is_in_group(st.st_gid)) {
                *ret_problem = sysfs_path(err, "%s: you may not open it", path);
                *ret_mend = sysfs_path(err,
                                       "as root, let users open it (chmod a+rw %s, and for "
                                       "good a rule of udev)",
                                       path);
                return *ret_problem && *ret_mend ? 0 : -1;
        }
        group = getgrgid(st.st_gid);
        *ret_problem = sysfs_path(err, "%s is for the group %s (%u), which you are not in", path,
                                  group ? group->gr_name : "?", st.st_gid);
        *ret_mend = sysfs_path(err, "as root: usermod -aG %s %s; then log in again",
                               group ? group->gr_name : "GROUP", "USER");
        return *ret_problem && *ret_mend ? 0 : -1;
}

int gpu_node_problem(const char *path, char **ret_problem, char **ret_mend, struct error *err)
{
        *ret_problem = *ret_mend = NULL;
        /* Asked without opening it, which would wake the device; a cgroup answers, too. */
        if (faccessat(AT_FDCWD, path, R_OK | W_OK, AT_EACCESS) == 0)
                return 0;
        if (errno == EACCES)
                return explain_permissions(path, ret_problem, ret_mend, err);
        if (errno == EPERM) {
                *ret_problem =
                        sysfs_path(err, "%s: the devices cgroup of this job forbids it", path);
                *ret_mend = strdup("ask the job's scheduler for the device (Slurm: --gres or "
                                   "--gpus)");
        } else {
                *ret_problem = sysfs_path(err, "%s: %s", path, strerror(errno));
                *ret_mend = strdup("load the driver; in a container, have its nodes given to it");
        }
        return *ret_problem && *ret_mend ? 0 : error_no_memory(err);
}
