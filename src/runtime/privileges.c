#include <errno.h>
#include <linux/capability.h>
#include <sched.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "host/host.h"
#include "runtime/container.h"

int privileges_drop_all(struct error *err)
{
        struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
        struct __user_cap_data_struct none[_LINUX_CAPABILITY_U32S_3] = { { 0 } };

        if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
                return error_errno(err, "cannot set no_new_privs");
        /* EINVAL: past the last one that this kernel knows, which may be more than the headers. */
        for (unsigned long cap = 0; prctl(PR_CAPBSET_DROP, cap, 0, 0, 0) == 0; cap++)
                ;
        if (errno != EINVAL)
                return error_errno(err, "cannot empty the capability bounding set");
        if (syscall(SYS_capset, &header, none) < 0)
                return error_errno(err, "cannot drop the capabilities");
        return 0;
}

int privileges_limit(uid_t uid, struct error *err)
{
        if (uid != 0)
                return privileges_drop_all(err);
        /* Root inside keeps the capabilities of the namespace, and can gain no others. */
        if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
                return error_errno(err, "cannot set no_new_privs");
        return 0;
}

int privileges_drop(const struct container *container, struct error *err)
{
        /* EINVAL: a kernel without cgroup namespaces. */
        if (unshare(CLONE_NEWCGROUP) < 0 && errno != EINVAL) {
                error_errno(err, "cannot create a cgroup namespace");
                return host_explain(HOST_CGROUP_NAMESPACE, err);
        }
        return privileges_limit(container->identity.uid, err);
}
