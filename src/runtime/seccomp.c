/*
 * The filter that answers success to changes of owners and ids. Made at build time
 * (seccomp_generate.c).
 */
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "host/host.h"
#include "runtime/container.h"

static struct sock_filter instructions[] = {
#include "seccomp_filter.h"
};

int seccomp_install(struct error *err)
{
        const struct sock_fprog program = {
                .len = ARRAY_SIZE(instructions),
                .filter = instructions,
        };

        /*
         * The filter protects nobody from anybody, so it must not turn on the
         * mitigations that slow down programs under seccomp(2) before Linux
         * 5.16. EINVAL: before 4.17, where there was no such choice.
         */
        if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_SPEC_ALLOW,
                    &program) == 0)
                return 0;
        if ((errno == EINVAL || errno == ENOSYS) &&
            prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program, 0, 0) == 0)
                return 0;
        error_errno(err, "cannot install the seccomp filter");
        return host_explain(HOST_SECCOMP, err);
}
