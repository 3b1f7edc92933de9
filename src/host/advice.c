/*
 * From a failed call to the setting behind it. The order of the questions is that of
 * the kernel's own checks where there is one (kernel/user_namespace.c: limits, chroot,
 * mapping, security modules); what is certain comes before what is only likely.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host/host.h"
#include "util/io.h"

#define PROC_FILE_LIMIT (64u << 20) /* mountinfo of a host with thousands of mounts */

/* ---- facts ---- */

static int read_proc(const char *root, const char *path, struct strbuf *text)
{
        struct error ignored = ERROR_INIT;
        char full[512];

        (void)snprintf(full, sizeof(full), "%s/proc/%s", root, path);
        return io_read_file(AT_FDCWD, full, PROC_FILE_LIMIT, text, &ignored);
}

bool host_sysctl(const char *root, const char *name, long *ret)
{
        auto_strbuf struct strbuf text = STRBUF_INIT;
        char path[256], *end;
        long value;

        (void)snprintf(path, sizeof(path), "sys/%s", name);
        for (char *at = path; *at; at++)
                if (*at == '.')
                        *at = '/';
        if (read_proc(root, path, &text) < 0)
                return false;
        value = strtol(strbuf_text(&text), &end, 10);
        if (end == strbuf_text(&text))
                return false;
        *ret = value;
        return true;
}

static bool sysctl_is(const char *root, const char *name, long wanted)
{
        long value;

        return host_sysctl(root, name, &value) && value == wanted;
}

bool host_in_chroot(const char *root)
{
        auto_strbuf struct strbuf text = STRBUF_INIT;

        if (read_proc(root, "self/mountinfo", &text) < 0)
                return false;
        /* proc_pid_mountinfo(5): the fifth field is the mount point, seen from this root. */
        for (const char *line = strbuf_text(&text); *line;) {
                const char *field = line;

                for (int i = 0; i < 4; i++) {
                        field += strcspn(field, " \n");
                        field += *field == ' ';
                }
                if (strncmp(field, "/ ", 2) == 0)
                        return false;
                line += strcspn(line, "\n");
                line += *line == '\n';
        }
        return true;
}

long host_process_status(const char *root, const char *field)
{
        auto_strbuf struct strbuf text = STRBUF_INIT;
        char line[64];
        const char *found;

        if (read_proc(root, "self/status", &text) < 0)
                return -1;
        (void)snprintf(line, sizeof(line), "\n%s:\t", field);
        found = strstr(strbuf_text(&text), line);
        return found ? strtol(found + strlen(line), NULL, 10) : -1;
}

/* ---- advice ---- */

static void cause(struct host_advice *ret, const char *fmt, ...)
        __attribute__((format(printf, 2, 3)));

static void cause(struct host_advice *ret, const char *fmt, ...)
{
        va_list args;

        va_start(args, fmt);
        (void)vsnprintf(ret->cause, sizeof(ret->cause), fmt, args);
        va_end(args);
}

static void mend(struct host_advice *ret, const char *text)
{
        (void)snprintf(ret->mend, sizeof(ret->mend), "%s", text);
}

static void advise_policy(const char *root, struct host_advice *ret)
{
        if (host_in_chroot(root)) {
                cause(ret, "this is a chroot, where the kernel allows no user namespace");
                mend(ret, "enter the directory with pivot_root in a mount namespace of its own, as "
                          "container runtimes do");
        } else if (host_process_status(root, "Seccomp") > 0) {
                cause(ret, "this is a container whose seccomp filter forbids it");
                mend(ret, "start that one with \"--security-opt seccomp=unconfined\", or with the "
                          "seccomp profile \"Unconfined\" in a pod");
        } else {
                cause(ret, "a security policy forbids it (it never works inside chroot)");
                mend(ret, "look for the refusal in \"journalctl -k\" or the audit log");
        }
}

static void advise_user_namespace(const char *root, const struct host_distribution *distribution,
                                  int code, struct host_advice *ret)
{
        long restricted;

        if (sysctl_is(root, "user.max_user_namespaces", 0)) {
                cause(ret, "the host allows no user namespaces");
                host_mend_sysctl(distribution, "user.max_user_namespaces", "65536", ret->mend);
                return;
        }
        if (sysctl_is(root, "kernel.unprivileged_userns_clone", 0)) {
                cause(ret, "the host keeps them to root");
                host_mend_sysctl(distribution, "kernel.unprivileged_userns_clone", "1", ret->mend);
                return;
        }
        if (host_sysctl(root, "kernel.apparmor_restrict_unprivileged_userns", &restricted) &&
            restricted > 0) {
                cause(ret, "AppArmor keeps them to programs with a profile");
                mend(ret, "as root, install a profile for enroot (there is one in "
                          "enroot-check(1)), or set \"sysctl "
                          "kernel.apparmor_restrict_unprivileged_userns=0\"");
                return;
        }
        switch (code) {
        case ENOSPC:
                cause(ret, "too many of them exist, or they are nested too deeply");
                mend(ret, "as root, raise the sysctl user.max_user_namespaces");
                break;
        case EUSERS:
                cause(ret, "they are nested too deeply");
                break;
        case ENOSYS:
        case EINVAL:
                if (host_is_redhat_7(distribution)) {
                        cause(ret, "they are switched off at boot");
                        host_mend_boot(distribution,
                                       "user_namespace.enable=1 namespace.unpriv_enable=1",
                                       ret->mend);
                } else {
                        cause(ret, "the kernel was built without CONFIG_USER_NS");
                        mend(ret, "boot a kernel of the distribution");
                }
                break;
        default:
                advise_policy(root, ret);
                break;
        }
}

/*
 * The other kinds. Their limits hold in every user namespace above, but are read as those
 * of the current one, which is new: so which value to raise them from cannot be told.
 */
static void advise_namespace(const char *root, const struct host_distribution *distribution,
                             const char *kind, int code, struct host_advice *ret)
{
        switch (code) {
        case ENOSPC:
                cause(ret, "this machine's limit is reached");
                (void)snprintf(ret->mend, sizeof(ret->mend),
                               "as root, raise the sysctl user.max_%s_namespaces", kind);
                break;
        case EPERM:
        case EACCES:
                advise_user_namespace(root, distribution, code, ret);
                break;
        case EINVAL:
                cause(ret, "the kernel was built without them");
                mend(ret, "boot a kernel of the distribution");
                break;
        default:
                break;
        }
}

static void advise_fuse_device(const struct host_distribution *distribution, int code,
                               struct host_advice *ret)
{
        switch (code) {
        case EACCES:
                cause(ret, "the device is kept to root");
                host_mend_package(distribution, HOST_PACKAGE_FUSE, ret->mend);
                strncat(ret->mend, ", which gives it the mode 0666",
                        sizeof(ret->mend) - strlen(ret->mend) - 1);
                break;
        case EPERM:
                cause(ret, "a device cgroup forbids it");
                mend(ret, "allow the device 10:229 to this container or job");
                break;
        case ENOENT:
        case ENODEV:
        case ENXIO:
                cause(ret, "there is no such device, as in many pods, or its module is missing");
                host_mend_module(distribution, "fuse", ret->mend);
                break;
        default:
                break;
        }
}

static void advise_overlay(const struct host_distribution *distribution, int code,
                           struct host_advice *ret)
{
        if (code == ENODEV) {
                cause(ret, "the kernel has no overlayfs");
                host_mend_module(distribution, "overlay", ret->mend);
        } else {
                cause(ret, "overlayfs in user namespaces needs Linux 5.11 or a distribution's "
                           "patch");
                mend(ret, "unpack the image with \"enroot create\" and start that");
        }
}

void host_advise(const char *root, enum host_feature feature, int code, struct host_advice *ret)
{
        static const char *const kinds[] = {
                [HOST_MOUNT_NAMESPACE] = "mnt", [HOST_PID_NAMESPACE] = "pid",
                [HOST_NET_NAMESPACE] = "net",   [HOST_IPC_NAMESPACE] = "ipc",
                [HOST_UTS_NAMESPACE] = "uts",   [HOST_CGROUP_NAMESPACE] = "cgroup",
        };
        struct host_distribution distribution;

        *ret = (struct host_advice){ .cause = "" };
        host_distribution_load(root, &distribution);
        switch (feature) {
        case HOST_USER_NAMESPACE:
                advise_user_namespace(root, &distribution, code, ret);
                break;
        case HOST_MOUNT_NAMESPACE:
        case HOST_PID_NAMESPACE:
        case HOST_NET_NAMESPACE:
        case HOST_IPC_NAMESPACE:
        case HOST_UTS_NAMESPACE:
        case HOST_CGROUP_NAMESPACE:
                advise_namespace(root, &distribution, kinds[feature], code, ret);
                break;
        case HOST_FUSE_DEVICE:
                advise_fuse_device(&distribution, code, ret);
                break;
        case HOST_OVERLAY:
                advise_overlay(&distribution, code, ret);
                break;
        case HOST_SECCOMP:
                if (code == EINVAL || code == ENOSYS) {
                        cause(ret, "the kernel needs CONFIG_SECCOMP_FILTER");
                        mend(ret, "boot a kernel of the distribution");
                }
                break;
        }
}

int host_explain(enum host_feature feature, struct error *err)
{
        struct host_advice advice;

        host_advise("", feature, err->code, &advice);
        if (*advice.cause)
                error_append(err, "; %s", advice.cause);
        if (*advice.mend)
                error_append(err, "%s %s", *advice.cause ? ":" : ";", advice.mend);
        return -1;
}
