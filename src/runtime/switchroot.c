/*
 * The last part of a start on its own, for scripts that put a root file system together
 * themselves, in namespaces of their own (enroot-switchroot).
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "runtime/container.h"

/* The id outside of the namespace, as its map has it; itself without a map. */
static unsigned int id_outside(const char *map, unsigned int id)
{
        auto_fclose FILE *file = fopen(map, "re");
        unsigned int inside, outside, count;

        while (file && fscanf(file, "%u %u %u", &inside, &outside, &count) == 3)
                if (id >= inside && id - inside < count)
                        return outside + (id - inside);
        return id;
}

static int open_root(struct container *container, struct error *err)
{
        const char *path = container->start->rootfs;

        container->root.fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
        if (container->root.fd < 0)
                return error_errno(err, "%s", path);
        container->root.path = path;
        container->view = root_view_directory(container->root.fd);
        return 0;
}

int runtime_switch_root(const struct runtime_start *start, const struct strlist *environment,
                        const struct config *config, struct report *report, struct error *err)
{
        auto_container struct container container = CONTAINER_INIT(start, config, report);
        auto_login struct login login = LOGIN_INIT;

        container.identity.uid = geteuid();
        container.identity.gid = getegid();
        container.identity.uid_outside = id_outside("/proc/self/uid_map", geteuid());
        container.identity.gid_outside = id_outside("/proc/self/gid_map", getegid());
        for (size_t i = 0; i < environment->count; i++)
                if (strlist_append(&container.environment, environment->items[i]) < 0)
                        return error_no_memory(err);
        if (open_root(&container, err) < 0 || prepare_rc(&container, err) < 0 ||
            login_prepare(&login, &container, err) < 0)
                return -1;
        if (start->directory) {
                free(login.work_dir);
                login.work_dir = strdup(start->directory);
                if (!login.work_dir)
                        return error_no_memory(err);
        }
        if (rootfs_pivot(&container, err) < 0) {
                if (err->code == EINVAL)
                        (void)error_append(err, " (it must be a mount point of a mount namespace "
                                                "of its own)");
                return -1;
        }
        if (privileges_drop(&container, err) < 0)
                return -1;
        return login_exec(&login, &container, err);
}
