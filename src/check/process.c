#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/types.h>
#include <unistd.h>

#include "check/probe.h"
#include "util/cleanup.h"

/* A filter like that of a start: success for a call that would fail. */
int probe_seccomp(const struct probe_context *context, const struct probe *probe,
                  struct probe_answer *answer, struct error *err)
{
        struct sock_filter filter[] = {
                BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
                BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_fchownat, 0, 1),
                BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO),
                BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
        };
        const struct sock_fprog program = { .len = ARRAY_SIZE(filter), .filter = filter };

        (void)probe;
        if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
                return error_errno(err, "cannot set no_new_privs");
        if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program, 0, 0) < 0) {
                error_errno(err, "cannot install a filter");
                return probe_refused(context, HOST_SECCOMP, answer, err);
        }
        if (syscall(SYS_fchownat, -1, "", 0, 0, 0) != 0)
                return error_set(err, EINVAL, "the filter has no effect");
        return 0;
}

/* ---- joining a container ---- */

static int join(pid_t child, struct error *err)
{
        auto_close int fd = (int)syscall(SYS_pidfd_open, child, 0);

        if (fd < 0)
                return error_errno(err, "pidfd_open");
        if (setns(fd, CLONE_NEWUSER | CLONE_NEWNS) < 0)
                return error_errno(err, "setns");
        return 0;
}

int probe_pidfd(const struct probe_context *context, const struct probe *probe,
                struct probe_answer *answer, struct error *err)
{
        int ready[2], result;
        pid_t child;
        char byte;

        (void)probe;
        if (pipe(ready) < 0)
                return error_errno(err, "cannot make a pipe");
        child = fork();
        if (child == 0) {
                if (probe_enter_user(context, false, answer, err) < 0 || unshare(CLONE_NEWNS) < 0 ||
                    write(ready[1], "", 1) != 1)
                        _exit(EXIT_FAILURE);
                (void)pause();
                _exit(EXIT_SUCCESS);
        }
        (void)close(ready[1]);
        if (child < 0 || read(ready[0], &byte, 1) != 1)
                return error_set(err, EPERM, "cannot make namespaces to join");
        result = join(child, err);
        (void)kill(child, SIGKILL);
        return result;
}

/* ---- vsyscall ---- */

#ifdef __x86_64__
/* Where old C libraries call gettimeofday(2) (Documentation/arch/x86/x86_64/mm.rst). */
#define VSYSCALL_ADDRESS UINT64_C(0xffffffffff600000)

static int call_vsyscall(void)
{
        int (*gettimeofday_at)(struct timeval *, void *) =
                (int (*)(struct timeval *, void *))(uintptr_t)VSYSCALL_ADDRESS;
        struct timeval now;

        return gettimeofday_at(&now, NULL);
}

int probe_vsyscall(const struct probe_context *context, const struct probe *probe,
                   struct probe_answer *answer, struct error *err)
{
        pid_t child = fork();

        (void)probe;
        if (child == 0) {
                (void)signal(SIGSEGV, SIG_DFL);
                _exit(call_vsyscall() == 0 ? EXIT_SUCCESS : EXIT_FAILURE);
        }
        if (child > 0 && probe_wait(child))
                return 0;
        host_mend_boot(&context->distribution, "vsyscall=emulate", answer->mend);
        return error_set(err, EFAULT, "the kernel has no such page");
}
#else
int probe_vsyscall(const struct probe_context *context, const struct probe *probe,
                   struct probe_answer *answer, struct error *err)
{
        (void)context;
        (void)probe;
        (void)answer;
        (void)err;
        return PROBE_ABSENT;
}
#endif
