#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <unistd.h>

#include "host/host.h"
#include "runtime/container.h"
#include "util/io.h"

void identity_init(struct container *container)
{
        struct identity *identity = &container->identity;

        identity->uid_outside = geteuid();
        identity->gid_outside = getegid();
        container->user_namespace =
                !container->config->allow_superuser || identity->uid_outside != 0;
        /* Without a map there is nobody to become. */
        if (container->config->remap_root && container->user_namespace) {
                identity->uid = 0;
                identity->gid = 0;
        } else {
                identity->uid = identity->uid_outside;
                identity->gid = identity->gid_outside;
        }
}

int namespace_enter_user(const struct identity *identity, struct error *err)
{
        char uid_map[64], gid_map[64];

        (void)snprintf(uid_map, sizeof(uid_map), "%u %u 1", identity->uid, identity->uid_outside);
        (void)snprintf(gid_map, sizeof(gid_map), "%u %u 1", identity->gid, identity->gid_outside);
        if (unshare(CLONE_NEWUSER) < 0) {
                error_errno(err, "cannot create a user namespace");
                return host_explain(HOST_USER_NAMESPACE, err);
        }
        /* user_namespaces(7): setgroups must be denied before an unprivileged gid map. */
        if (io_write_file(-1, "/proc/self/setgroups", "deny", err) < 0 ||
            io_write_file(-1, "/proc/self/gid_map", gid_map, err) < 0 ||
            io_write_file(-1, "/proc/self/uid_map", uid_map, err) < 0) {
                error_prefix(err, "cannot map the user into a namespace");
                return host_explain(HOST_USER_NAMESPACE, err);
        }
        return 0;
}

int namespace_enter_mount(bool user_namespace, struct error *err)
{
        if (unshare(CLONE_NEWNS) < 0) {
                error_errno(err, "cannot create a mount namespace");
                return host_explain(HOST_MOUNT_NAMESPACE, err);
        }
        /* mount_namespaces(7): with a user namespace of its own, the copies are slaves already. */
        if (!user_namespace && mount(NULL, "/", NULL, MS_REC | MS_SLAVE, NULL) < 0)
                return error_errno(err, "cannot detach the mounts from the host");
        return 0;
}
