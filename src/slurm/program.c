#include "slurm/program.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#ifndef SYS_close_range
#define SYS_close_range 436 /* the same on all architectures; since Linux 5.9 */
#endif

#define PROGRAM         "enroot"
#define PROGRAM_CALLED  "enroot-step"
#define PATIENCE        60    /* seconds */
#define DESCRIPTORS     65536 /* closed where close_range(2) is missing */

/* ---- in the child: only what signal handlers may do, for the daemon has threads ---- */

static int set_descriptors(int input)
{
        int null = open("/dev/null", O_RDWR);

        /* Whatever of 0 to 2 is not open would be the first of these. */
        if (null < 0 || (input >= 0 && dup2(input, STDIN_FILENO) < 0) ||
            (input < 0 && dup2(null, STDIN_FILENO) < 0) || dup2(null, STDOUT_FILENO) < 0 ||
            dup2(null, STDERR_FILENO) < 0)
                return -1;
        if (syscall(SYS_close_range, STDERR_FILENO + 1, ~0u, 0) < 0)
                for (int fd = STDERR_FILENO + 1; fd < DESCRIPTORS; fd++)
                        (void)close(fd);
        return 0;
}

static void reset_signals(void)
{
        sigset_t none;

        (void)sigemptyset(&none);
        (void)sigprocmask(SIG_SETMASK, &none, NULL);
        for (int sig = 1; sig < NSIG; sig++)
                (void)signal(sig, SIG_DFL);
}

/* Daemons of Slurm are exempt from the killer. */
static void reset_oom_score(void)
{
        int fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);

        if (fd < 0)
                return;
        (void)!write(fd, "0", 1);
        (void)close(fd);
}

/* For good: real, effective and saved ids, whichever of them were root's. */
static int become_user(const struct program *program)
{
        if (geteuid() == 0 && setgroups((size_t)program->group_count, program->groups) < 0)
                return -1;
        if (setresgid(program->gid, program->gid, program->gid) < 0 ||
            setresuid(program->uid, program->uid, program->uid) < 0)
                return -1;
        /* A user who can be root again would carry the job's environment there. */
        return program->uid != 0 && setuid(0) == 0 ? -1 : 0;
}

static _Noreturn void become_program(const struct program *program, char **argv)
{
        reset_signals();
        reset_oom_score();
        if (setsid() < 0 || set_descriptors(program->input) < 0 || become_user(program) < 0)
                _exit(EXIT_FAILURE);
        if (*program->path) {
                (void)execve(program->path, argv, program->environment->items);
        } else {
                (void)execvpe(PROGRAM, argv, program->environment->items);
                (void)execve(ENROOT_BINDIR "/" PROGRAM, argv, program->environment->items);
        }
        _exit(127);
}

/* ---- in the daemon ---- */

/* NULL-terminated; borrows. NULL without memory. */
static char **make_argv(const struct program *program)
{
        char **argv = calloc(program->arguments->count + 2, sizeof(*argv));

        if (!argv)
                return NULL;
        argv[0] = (char *)PROGRAM_CALLED;
        memcpy(argv + 1, program->arguments->items,
               program->arguments->count * sizeof(*argv));
        return argv;
}

/* With a limit it is killed in the end: the user could make it wait for ever. */
static int wait_for(pid_t child, bool limited, int *ret_status)
{
        const struct timespec pause = { .tv_nsec = 5000000 };
        struct timespec now, begin;
        pid_t ended;

        (void)clock_gettime(CLOCK_MONOTONIC, &begin);
        while ((ended = waitpid(child, ret_status, limited ? WNOHANG : 0)) <= 0) {
                if (ended < 0 && errno != EINTR)
                        return -1;
                (void)clock_gettime(CLOCK_MONOTONIC, &now);
                if (limited && now.tv_sec - begin.tv_sec >= PATIENCE)
                        (void)kill(-child, SIGKILL); /* it has a session of its own */
                if (limited)
                        (void)nanosleep(&pause, NULL);
        }
        return 0;
}

/* Returns the number of a process that is apart, or 0; -1 with *err. */
static pid_t start(const struct program *program, bool apart, struct error *err)
{
        auto_free char **argv = make_argv(program);
        auto_close int out = -1, in = -1;
        int status = 0, ends[2];
        pid_t child, grandchild = 0;

        if (!argv || program->environment->count == 0)
                return error_no_memory(err);
        if (pipe2(ends, O_CLOEXEC) < 0)
                return error_errno(err, "pipe");
        out = ends[0];
        in = ends[1];
        child = fork();
        if (child < 0)
                return error_errno(err, "cannot start a process");
        if (child == 0) {
                grandchild = apart ? fork() : 0;
                if (grandchild == 0)
                        become_program(program, argv);
                _exit(write(in, &grandchild, sizeof(grandchild)) < 0 || grandchild < 0
                              ? EXIT_FAILURE
                              : EXIT_SUCCESS);
        }
        if (wait_for(child, !apart, &status) < 0)
                return error_errno(err, "cannot wait for " PROGRAM);
        if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
                return error_set(err, ECHILD, "%s has failed (status %#x)", PROGRAM,
                                 (unsigned int)status);
        if (apart && read(out, &grandchild, sizeof(grandchild)) != sizeof(grandchild))
                return error_errno(err, "cannot hear of " PROGRAM);
        return grandchild;
}

const char *program_search_path(void)
{
        const char *path = getenv("PATH");

        return path ? path : "/usr/local/bin:/usr/bin:/bin";
}

pid_t program_start(const struct program *program, struct error *err)
{
        return start(program, true, err);
}

void program_kill(pid_t pid, uid_t uid)
{
        pid_t child = fork();

        if (child == 0) {
                if (setresuid(uid, uid, uid) == 0)
                        (void)kill(pid, SIGKILL);
                _exit(EXIT_SUCCESS);
        }
        while (child > 0 && waitpid(child, NULL, 0) < 0 && errno == EINTR)
                ;
}

int program_run(const struct program *program, struct error *err)
{
        return start(program, false, err) < 0 ? -1 : 0;
}
