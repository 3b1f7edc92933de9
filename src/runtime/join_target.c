#include <errno.h>
#include <fcntl.h>
#include <linux/nsfs.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "runtime/container.h"
#include "runtime/join.h"
#include "runtime/proc_text.h"
#include "util/io.h"

#ifndef SYS_pidfd_open
#define SYS_pidfd_open 434 /* the same on all architectures */
#endif

/* In the order in which they are entered: the user namespace gives the right to the others. */
static const struct {
        int flag;
        const char *file, *own;
} namespaces[] = {
        { CLONE_NEWUSER, "ns/user", "/proc/self/ns/user" },
        { CLONE_NEWPID, "ns/pid", "/proc/self/ns/pid" },
        { CLONE_NEWCGROUP, "ns/cgroup", "/proc/self/ns/cgroup" },
        { CLONE_NEWNS, "ns/mnt", "/proc/self/ns/mnt" },
        { CLONE_NEWIPC, "ns/ipc", "/proc/self/ns/ipc" },
        { CLONE_NEWUTS, "ns/uts", "/proc/self/ns/uts" },
        { CLONE_NEWNET, "ns/net", "/proc/self/ns/net" },
        { CLONE_NEWTIME, "ns/time", "/proc/self/ns/time" },
};

void join_target_release(struct join_target *target)
{
        int *fds[] = { &target->pidfd, &target->proc_fd };

        for (size_t i = 0; i < ARRAY_SIZE(fds); i++)
                if (*fds[i] >= 0)
                        (void)close(TAKE_FD(*fds[i]));
}

static int has_ended(const struct join_target *target, struct error *err)
{
        return error_set(err, ESRCH, "process %d has ended", target->pid);
}

/*
 * The number was looked up twice, and may have meant two processes, or /proc may be that
 * of another process id namespace: ask the pidfd which one it is (proc_pid_fdinfo(5); -1
 * when it has ended).
 */
static int check_same_process(const struct join_target *target, struct error *err)
{
        auto_strbuf struct strbuf text = STRBUF_INIT;
        unsigned long pid;
        char path[64];

        (void)snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", target->pidfd);
        if (io_read_file(-1, path, 4096, &text, err) < 0)
                return -1;
        if (!proc_status_number(strbuf_text(&text), "Pid", 10, &pid) || (pid_t)pid != target->pid)
                return has_ended(target, err);
        return 0;
}

int join_target_open(struct join_target *target, pid_t pid, struct error *err)
{
        char path[32];

        target->pid = pid;
        /*
         * From the moment that the user namespace is entered, the container's processes
         * have every capability over this one, and through /proc/PID/fd and /proc/PID/mem
         * the host's files (CVE-2016-9962). Not dumpable, it belongs to the namespace that
         * the program was executed in, until execve(2).
         */
        if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0)
                return error_errno(err, "prctl");
        target->pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
        if (target->pidfd < 0 && errno != ENOSYS && errno != EPERM)
                return error_set(err, ESRCH, "no process %d", pid);
        (void)snprintf(path, sizeof(path), "/proc/%d", pid);
        target->proc_fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
        if (target->proc_fd < 0)
                return error_set(err, ESRCH, "no process %d", pid);
        return target->pidfd >= 0 ? check_same_process(target, err) : 0;
}

static int explain_lookup(const struct join_target *target, struct error *err)
{
        if (errno == EACCES || errno == EPERM)
                return error_set(err, EPERM, "process %d is not yours", target->pid);
        if (errno == ENOENT || errno == ESRCH)
                return has_ended(target, err);
        return error_errno(err, "process %d", target->pid);
}

/* Root could enter anybody's, and would be nobody in it. */
static int check_owner(const struct join_target *target, struct error *err)
{
        auto_close int fd = openat(target->proc_fd, "ns/user", O_RDONLY | O_CLOEXEC);
        uid_t owner;

        if (fd < 0)
                return explain_lookup(target, err);
        /* ENOTTY: before Linux 4.11; then the kernel's own check has to do. */
        if (ioctl(fd, NS_GET_OWNER_UID, &owner) < 0)
                return errno == ENOTTY ? 0 : error_errno(err, "process %d", target->pid);
        if (owner != geteuid())
                return error_set(err, EPERM,
                                 "process %d is in a user namespace of user %u: only he can enter "
                                 "it",
                                 target->pid, owner);
        return 0;
}

int join_target_compare(const struct join_target *target, int wanted, int *ret_other,
                        struct error *err)
{
        int other = 0;

        for (size_t i = 0; i < ARRAY_SIZE(namespaces); i++) {
                struct stat own, its;

                if (!(wanted & namespaces[i].flag))
                        continue;
                if (stat(namespaces[i].own, &own) < 0)
                        continue; /* a kind that this kernel does not have */
                if (fstatat(target->proc_fd, namespaces[i].file, &its, 0) < 0)
                        return explain_lookup(target, err);
                if (own.st_ino != its.st_ino || own.st_dev != its.st_dev)
                        other |= namespaces[i].flag;
        }
        if (other & CLONE_NEWUSER && check_owner(target, err) < 0)
                return -1;
        *ret_other = other;
        return 0;
}

static int enter_one(const struct join_target *target, size_t i, struct error *err)
{
        auto_close int fd = openat(target->proc_fd, namespaces[i].file, O_RDONLY | O_CLOEXEC);

        if (fd < 0)
                return explain_lookup(target, err);
        if (setns(fd, namespaces[i].flag) < 0)
                return error_errno(err, "process %d: cannot enter its namespace %s", target->pid,
                                   namespaces[i].file);
        return 0;
}

int join_target_setns(const struct join_target *target, int flags, struct error *err)
{
        if (flags == 0)
                return 0;
        if (target->pidfd >= 0 && setns(target->pidfd, flags) == 0)
                return 0;
        if (target->pidfd >= 0 && errno == ESRCH)
                return has_ended(target, err);
        /* EINVAL: before Linux 5.8. */
        if (target->pidfd >= 0 && errno != EINVAL)
                return error_errno(err, "process %d: cannot enter its namespaces", target->pid);
        for (size_t i = 0; i < ARRAY_SIZE(namespaces); i++)
                if (flags & namespaces[i].flag && enter_one(target, i, err) < 0)
                        return -1;
        return 0;
}

static int become_root(struct error *err)
{
        if (setresgid(0, 0, 0) == 0 && setresuid(0, 0, 0) == 0)
                return 0;
        error_errno(err, "cannot be root in this container");
        if (err->code == EINVAL)
                error_append(err, "; it has no root: start it with --root");
        return -1;
}

int join_target_enter(const struct join_target *target, int flags, bool root, int *ret_status,
                      struct error *err)
{
        int before = flags & CLONE_NEWPID ? flags & (CLONE_NEWUSER | CLONE_NEWPID) : flags;
        int result;

        if (join_target_setns(target, before, err) < 0 || (root && become_root(err) < 0))
                return -1;
        if (!(flags & CLONE_NEWPID))
                return 0;
        /* The stand-in stays with the host's files, where nobody inside can see it. */
        result = child_continue(ret_status, err);
        if (result != 0)
                return result;
        return join_target_setns(target, flags & ~before, err);
}
