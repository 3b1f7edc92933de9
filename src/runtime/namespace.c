#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <unistd.h>

#include "runtime/container.h"
#include "util/io.h"

/* A file of /proc with one number: its value, or -1 when there is none. */
static long read_number(const char *path)
{
        auto_strbuf struct strbuf text = STRBUF_INIT;
        struct error ignored = ERROR_INIT;

        if (io_read_file(-1, path, 64, &text, &ignored) < 0 || text.length == 0)
                return -1;
        return strtol(text.data, NULL, 10);
}

/* Whether a seccomp filter is installed on this process: by an outer container. */
static bool is_filtered(void)
{
        auto_strbuf struct strbuf text = STRBUF_INIT;
        struct error ignored = ERROR_INIT;
        const char *line;

        if (io_read_file(-1, "/proc/self/status", 1u << 16, &text, &ignored) < 0)
                return false;
        line = strstr(strbuf_text(&text), "\nSeccomp:\t");
        return line && line[strlen("\nSeccomp:\t")] != '0';
}

/* Tell the user which setting of the host stands in the way, and how to change it. */
static int explain_user_namespace(struct error *err)
{
        if (read_number("/proc/sys/user/max_user_namespaces") == 0)
                return error_append(err, "; the host allows no user namespaces: as root, set "
                                         "\"sysctl user.max_user_namespaces=65536\"");
        if (read_number("/proc/sys/kernel/unprivileged_userns_clone") == 0)
                return error_append(err, "; the host keeps them to root: as root, set \"sysctl "
                                         "kernel.unprivileged_userns_clone=1\"");
        if (read_number("/proc/sys/kernel/apparmor_restrict_unprivileged_userns") > 0)
                return error_append(err, "; AppArmor keeps them to programs with a profile: "
                                         "install one for enroot, or as root, set \"sysctl "
                                         "kernel.apparmor_restrict_unprivileged_userns=0\"");
        switch (err->code) {
        case ENOSPC:
                return error_append(err, "; too many of them exist: as root, raise "
                                         "user.max_user_namespaces");
        case EUSERS:
                return error_append(err, "; they are nested too deeply");
        case ENOSYS:
        case EINVAL:
                return error_append(err, "; the kernel was built without CONFIG_USER_NS");
        default:
                break;
        }
        if (is_filtered())
                return error_append(err, "; this is a container whose seccomp filter forbids it: "
                                         "start that one with \"--security-opt "
                                         "seccomp=unconfined\" or its like");
        return error_append(err, "; a security policy forbids it (it never works inside chroot)");
}

static int explain_mount_namespace(struct error *err)
{
        if (err->code == ENOSPC)
                return error_append(err, "; as root, raise the sysctl user.max_mnt_namespaces");
        if (err->code == EPERM)
                return explain_user_namespace(err);
        return -1;
}

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
                return explain_user_namespace(err);
        }
        /* user_namespaces(7): setgroups must be denied before an unprivileged gid map. */
        if (io_write_file(-1, "/proc/self/setgroups", "deny", err) < 0 ||
            io_write_file(-1, "/proc/self/gid_map", gid_map, err) < 0 ||
            io_write_file(-1, "/proc/self/uid_map", uid_map, err) < 0) {
                error_prefix(err, "cannot map the user into a namespace");
                return explain_user_namespace(err);
        }
        return 0;
}

int namespace_enter_mount(bool user_namespace, struct error *err)
{
        if (unshare(CLONE_NEWNS) < 0) {
                error_errno(err, "cannot create a mount namespace");
                return explain_mount_namespace(err);
        }
        /* mount_namespaces(7): with a user namespace of its own, the copies are slaves already. */
        if (!user_namespace && mount(NULL, "/", NULL, MS_REC | MS_SLAVE, NULL) < 0)
                return error_errno(err, "cannot detach the mounts from the host");
        return 0;
}
