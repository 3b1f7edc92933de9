/*
 * A container's process becomes its command. The order is what the kernel asks for: what
 * needs capabilities before they go, the bounding set and the user while SETPCAP and
 * SETUID are there, ambient capabilities last, because a change of user clears them; a
 * seccomp filter as late as its own rules allow.
 */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "oci/container.h"
#include "env/env.h"
#include "util/io.h"
#include "util/path.h"

/* ---- before ---- */

int process_set_oom_score(const struct oci_process *process, struct report *report,
                          struct error *err)
{
        char score[16];

        if (!process->has_oom_score)
                return 0;
        (void)snprintf(score, sizeof(score), "%d", process->oom_score);
        if (io_write_file(-1, "/proc/self/oom_score_adj", score, err) == 0)
                return 0;
        if (err->code != EACCES)
                return error_prefix(err, "oomScoreAdj");
        report_warn(report, "oomScoreAdj: only root may lower it to %s", score);
        *err = (struct error)ERROR_INIT;
        return 0;
}

int process_check_descriptors(int count, struct error *err)
{
        for (int fd = STDERR_FILENO + 1; fd <= STDERR_FILENO + count; fd++)
                if (fcntl(fd, F_GETFD) < 0)
                        return error_set(err, EBADF,
                                         "--preserve-fds: descriptor %d is not open", fd);
        return 0;
}

/* A command without a slash is looked for below PATH as the container has it. */
int process_check(const struct oci_process *process, struct error *err)
{
        const char *command = process->args.items[0];
        const char *path = env_get(&process->env, "PATH");
        auto_free char *found = NULL;
        struct stat st;

        if (strchr(command, '/')) {
                /* Relative to the working directory, which is entered later. */
                if (*command != '/')
                        return 0;
                if (stat(command, &st) < 0)
                        return error_errno(err, "cannot execute %s", command);
                if (!S_ISREG(st.st_mode) || !(st.st_mode & 0111))
                        return error_set(err, EACCES, "cannot execute %s: permission denied",
                                         command);
                return 0;
        }
        found = path_find_program(command, path ? path : "/bin:/usr/bin");
        if (!found)
                return error_set(err, ENOENT,
                                 "cannot execute %s: executable file not found in $PATH (no such "
                                 "file or directory)",
                                 command);
        return 0;
}

/* ---- limits and rights ---- */

static int set_limits(const struct oci_process *process, struct error *err)
{
        for (size_t i = 0; i < process->rlimit_count; i++) {
                const struct oci_rlimit *rlimit = &process->rlimits[i];
                struct rlimit now;

                if (setrlimit((__rlimit_resource_t)rlimit->resource, &rlimit->limit) == 0)
                        continue;
                (void)error_errno(err, "rlimits: %s", rlimit->name);
                if (err->code == EPERM &&
                    getrlimit((__rlimit_resource_t)rlimit->resource, &now) == 0)
                        (void)error_append(err, " (only root may exceed the hard limit %llu)",
                                           (unsigned long long)now.rlim_max);
                return -1;
        }
        return 0;
}

static int limit_bounding_set(uint64_t keep, struct error *err)
{
        for (unsigned long cap = 0; prctl(PR_CAPBSET_READ, cap, 0, 0, 0) >= 0; cap++)
                if ((cap > 63 || !(keep >> cap & 1)) && prctl(PR_CAPBSET_DROP, cap, 0, 0, 0) < 0)
                        return error_errno(err, "the capability bounding set");
        return 0;
}

static int become_user(const struct oci_process *process, struct report *report,
                       struct error *err)
{
        if (prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0) < 0)
                return error_errno(err, "cannot keep capabilities");
        /* user_namespaces(7): denied for good where a user maps his own group. */
        if (setgroups(process->group_count, process->groups) < 0) {
                if (errno != EPERM)
                        return error_errno(err, "additionalGids");
                if (process->group_count > 0)
                        report_warn(report, "additionalGids: not with one group mapped");
        }
        if (setresgid(process->gid, process->gid, process->gid) < 0)
                return error_errno(err, "cannot be of group %u", process->gid);
        if (setresuid(process->uid, process->uid, process->uid) < 0)
                return error_errno(err, "cannot be user %u", process->uid);
        return 0;
}

/* What a kernel does not know, or this process never had, cannot be granted. */
static int set_capabilities(const struct oci_capabilities *wanted, struct error *err)
{
        struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
        struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3];

        if (syscall(SYS_capget, &header, data) < 0)
                return error_errno(err, "capabilities");
        for (unsigned int i = 0; i < ARRAY_SIZE(data); i++) {
                data[i].permitted &= (uint32_t)(wanted->permitted >> 32 * i);
                data[i].effective = data[i].permitted & (uint32_t)(wanted->effective >> 32 * i);
                data[i].inheritable = data[i].permitted &
                                      (uint32_t)(wanted->inheritable >> 32 * i);
        }
        if (syscall(SYS_capset, &header, data) < 0)
                return error_errno(err, "capabilities");
        (void)prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
        /* capabilities(7): only what is permitted and inheritable can be ambient. */
        for (unsigned int cap = 0; cap < 64; cap++)
                if (wanted->ambient >> cap & 1)
                        (void)prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, cap, 0, 0);
        return 0;
}

static int install_filter(const struct oci_filter *filter,
                          const struct process_surroundings *surroundings, struct error *err)
{
        const struct sock_fprog program = { .len = filter->count, .filter = filter->instructions };

        if (filter->count == 0)
                return 0;
        if (filter->notifies)
                return notify_install(filter, &surroundings->notification, err);
        if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, filter->flags, &program) < 0)
                return error_errno(err, "seccomp");
        return 0;
}

/* ---- becoming it ---- */

static void reset_signals(void)
{
        struct sigaction by_default = { .sa_handler = SIG_DFL };
        sigset_t none;

        for (int sig = 1; sig < NSIG; sig++)
                (void)sigaction(sig, &by_default, NULL);
        (void)sigemptyset(&none);
        (void)sigprocmask(SIG_SETMASK, &none, NULL);
}

static int close_descriptors(const struct process_surroundings *surroundings, struct error *err)
{
        const int own[] = { surroundings->keep_fd, surroundings->label_fd,
                            surroundings->notification.fd };
        auto_free int *keep =
                calloc((size_t)surroundings->preserve_fds + ARRAY_SIZE(own), sizeof(*keep));
        size_t count = 0;

        if (!keep)
                return error_no_memory(err);
        for (int i = 0; i < surroundings->preserve_fds; i++)
                keep[count++] = STDERR_FILENO + 1 + i;
        for (size_t i = 0; i < ARRAY_SIZE(own); i++)
                if (own[i] >= 0)
                        keep[count++] = own[i];
        runtime_close_descriptors(keep, count);
        return 0;
}

/*
 * Where it is now must be below its root: a directory by way of a descriptor of the host's
 * that was left open would not be (CVE-2024-21626).
 */
static int check_directory(const struct oci_process *process, struct error *err)
{
        auto_free char *path = getcwd(NULL, 0);

        if (!path && errno != ENOENT)
                return error_errno(err, "the working directory %s", process->cwd);
        if (!path || *path != '/')
                return error_set(err, EPERM, "the working directory %s is outside of the container",
                                 process->cwd);
        return 0;
}

static int limit(const struct oci_process *process, const struct oci_filter *filter,
                 const struct process_surroundings *surroundings, struct report *report,
                 struct error *err)
{
        bool late = process->no_new_privileges;
        bool entered = chdir(process->cwd) == 0;

        if (set_limits(process, err) < 0 || schedule_process(process, err) < 0 ||
            (surroundings->label_fd >= 0 && label_set(process, surroundings->label_fd, err) < 0) ||
            limit_bounding_set(process->capabilities.bounding, err) < 0 ||
            /* Without no_new_privs it takes CAP_SYS_ADMIN, which goes now. */
            (!late && install_filter(filter, surroundings, err) < 0) ||
            become_user(process, report, err) < 0)
                return -1;
        /* A directory that only the user may enter, as on NFS. */
        if (!entered && chdir(process->cwd) < 0)
                return error_errno(err, "the working directory %s", process->cwd);
        if (check_directory(process, err) < 0)
                return -1;
        if (set_capabilities(&process->capabilities, err) < 0)
                return -1;
        if (!late)
                return 0;
        if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
                return error_errno(err, "no_new_privs");
        return install_filter(filter, surroundings, err);
}

int process_become(const struct oci_process *process, const struct oci_filter *filter,
                   const struct process_surroundings *surroundings, struct report *report,
                   struct error *err)
{
        (void)umask(process->has_umask ? process->umask : 0022);
        if (close_descriptors(surroundings, err) < 0)
                return -1;
        reset_signals();
        if (limit(process, filter, surroundings, report, err) < 0)
                return -1;
        /* prctl(2): a change of user has cleared it. */
        if (surroundings->dies_with_parent)
                (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
        environ = process->env.items ? process->env.items : (char *[]){ NULL };
        (void)execvp(process->args.items[0], process->args.items);
        return error_errno(err, "cannot execute %s", process->args.items[0]);
}
