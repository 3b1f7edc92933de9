/*
 * The namespaces of a start besides those of ids and processes, and the file systems that
 * go with them.
 */
#include <net/if.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <unistd.h>

#include "host/host.h"
#include "runtime/container.h"

static int enter(int flag, const char *kind, enum host_feature feature, struct error *err)
{
        if (unshare(flag) == 0)
                return 0;
        error_errno(err, "cannot create a %s namespace", kind);
        return host_explain(feature, err);
}

static int enter_mount(bool user_namespace, struct error *err)
{
        if (enter(CLONE_NEWNS, "mount", HOST_MOUNT_NAMESPACE, err) < 0)
                return -1;
        /* mount_namespaces(7): with a user namespace of its own, the copies are slaves already. */
        if (!user_namespace && mount(NULL, "/", NULL, MS_REC | MS_SLAVE, NULL) < 0)
                return error_errno(err, "cannot detach the mounts from the host");
        return 0;
}

/* A new network namespace has a loopback interface that is down. */
static int bring_loopback_up(struct error *err)
{
        struct ifreq request = { .ifr_name = "lo" };
        auto_close int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

        if (fd < 0 || ioctl(fd, SIOCGIFFLAGS, &request) < 0)
                return error_errno(err, "loopback interface");
        request.ifr_flags |= IFF_UP;
        if (ioctl(fd, SIOCSIFFLAGS, &request) < 0)
                return error_errno(err, "cannot bring the loopback interface up");
        return 0;
}

int runtime_enter_namespaces(int namespaces, bool user_namespace, struct error *err)
{
        if (namespaces & CLONE_NEWNS && enter_mount(user_namespace, err) < 0)
                return -1;
        if (namespaces & CLONE_NEWNET && (enter(CLONE_NEWNET, "network", HOST_NET_NAMESPACE, err) <
                                                  0 ||
                                          bring_loopback_up(err) < 0))
                return -1;
        if (namespaces & CLONE_NEWIPC && enter(CLONE_NEWIPC, "IPC", HOST_IPC_NAMESPACE, err) < 0)
                return -1;
        return namespaces & CLONE_NEWUTS ? enter(CLONE_NEWUTS, "UTS", HOST_UTS_NAMESPACE, err) : 0;
}

int namespace_enter_others(const struct container *container, struct error *err)
{
        const struct config *config = container->config;

        return runtime_enter_namespaces(CLONE_NEWNS | (config->unshare_net ? CLONE_NEWNET : 0) |
                                       (config->unshare_ipc ? CLONE_NEWIPC : 0) |
                                       (config->unshare_uts ? CLONE_NEWUTS : 0),
                               container->user_namespace, err);
}

pid_t namespace_host_pid(void)
{
        char number[16] = "";

        /* The numbers of a proc file system are those of the namespace that it was mounted in. */
        if (readlink("/proc/self", number, sizeof(number) - 1) <= 0)
                return getpid();
        return (pid_t)strtol(number, NULL, 10);
}

int namespace_add_mounts(const struct config *config, struct mount_plan *plan, struct error *err)
{
        /* The host's copies are let go of first: whoever is root inside could look below. */
        static const char *const of_pid[] = {
                "none /proc none x-create=dir,x-detach,nofail,silent 0 -1",
                "proc /proc proc x-create=dir,rw,nosuid,nodev,noexec,private 0 -1",
        };
        static const char *const of_net[] = {
                "none /sys none x-create=dir,x-detach,nofail,silent 0 -1",
                "sysfs /sys sysfs x-create=dir,ro,nosuid,nodev,noexec,private 0 -1",
        };

        for (size_t i = 0; config->unshare_pid && i < ARRAY_SIZE(of_pid); i++)
                if (mount_plan_add_line(plan, err, "%s", of_pid[i]) < 0)
                        return -1;
        for (size_t i = 0; config->unshare_net && i < ARRAY_SIZE(of_net); i++)
                if (mount_plan_add_line(plan, err, "%s", of_net[i]) < 0)
                        return -1;
        return 0;
}
