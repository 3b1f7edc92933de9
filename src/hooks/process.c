#include "hooks/process.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "util/capabilities.h"
#include "util/cleanup.h"
#include "util/clock.h"
#include "util/io.h"

/* How long a program may take to end after a signal, in milliseconds. */
#define GRACE 1000

/* More than a program of ours gets, and the first number above their places. */
#define DESCRIPTORS_LIMIT 8
#define FIRST_FREE        16

/* Processes that are killed after it; a hook that forks faster than that wins. */
#define DESCENDANTS_LIMIT 100000

/* Size of the list of one process's children, in bytes. */
#define CHILDREN_LIMIT (1u << 20)

/* ---- starting ---- */

/* Put descriptors where the program expects them, out of each other's way. */
static int place_descriptors(const int *fds, size_t count, struct error *err)
{
        int high[DESCRIPTORS_LIMIT];

        for (size_t i = 0; i < count; i++) {
                high[i] = fds[i] < 0 ? -1 : fcntl(fds[i], F_DUPFD_CLOEXEC, FIRST_FREE);
                if (fds[i] >= 0 && high[i] < 0)
                        return error_errno(err, "cannot pass a descriptor on");
        }
        for (size_t i = 0; i < count; i++)
                if (high[i] >= 0 && dup2(high[i], (int)i + STDOUT_FILENO) < 0)
                        return error_errno(err, "cannot pass a descriptor on");
        return 0;
}

static int execute(const char *path, char *const *argv, char *const *environment,
                   struct error *err)
{
        if (strchr(path, '/'))
                (void)execve(path, argv, environment);
        else
                (void)execvpe(path, argv, environment);
        if (errno == ENOEXEC) {
                char *const script[] = { (char *)"bash", (char *)path, NULL };

                (void)execvpe(script[0], script, environment);
        }
        error_errno(err, "cannot execute %s", path);
        if (err->code == ENOENT && access(path, F_OK) == 0)
                error_append(err, " (the interpreter that its first line names is missing)");
        return -1;
}

/* The child's part: all until it is another program. Returns only on failure. */
static int become(const struct process *process, char *const *argv, char *const *environment,
                  const int *fds, size_t fd_count, struct error *err)
{
        sigset_t none;

        (void)sigemptyset(&none);
        (void)sigprocmask(SIG_SETMASK, &none, NULL);
        if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0)
                return error_errno(err, "PR_SET_PDEATHSIG");
        if (process->input > 0 && dup2(process->input, STDIN_FILENO) < 0)
                return error_errno(err, "cannot pass a descriptor on");
        if (capabilities_keep(err) < 0 || place_descriptors(fds, fd_count, err) < 0)
                return -1;
        return execute(process->path ? process->path : argv[0], argv, environment, err);
}

static void run_child(const struct process *process, char *const *argv, char *const *environment,
                      const int *fds, size_t fd_count, int error_fd)
{
        struct error reason = ERROR_INIT;

        error_fd = fcntl(error_fd, F_DUPFD_CLOEXEC, FIRST_FREE);
        if (error_fd >= 0) {
                (void)become(process, argv, environment, fds, fd_count, &reason);
                (void)io_write_full(error_fd, &reason, sizeof(reason));
        }
        _exit(EXIT_FAILURE);
}

int process_start(struct process *process, char *const *argv, char *const *environment,
                  const int *fds, size_t fd_count, struct error *err)
{
        auto_close int read_end = -1, write_end = -1;
        struct error reason;
        ssize_t size;
        int ends[2];

        if (pipe2(ends, O_CLOEXEC) < 0)
                return error_errno(err, "pipe");
        read_end = ends[0];
        write_end = ends[1];
        /* An ignored SIGCHLD, which is inherited, would lose the exit status. */
        (void)signal(SIGCHLD, SIG_DFL);
        process->pid = fork();
        if (process->pid < 0) {
                process->pid = 0;
                return error_errno(err, "cannot start %s", argv[0]);
        }
        if (process->pid == 0)
                run_child(process, argv, environment, fds, fd_count, write_end);
        (void)close(TAKE_FD(write_end));
        size = io_read_full(read_end, &reason, sizeof(reason));
        if (size == 0) /* execve has closed it */
                return 0;
        process_release(process);
        if (size != sizeof(reason))
                return error_set(err, EIO, "cannot start %s", argv[0]);
        *err = reason;
        return -1;
}

/* ---- ending ---- */

/* Wait for a child's end; false when there is no such child. */
static bool reap(pid_t pid)
{
        pid_t result;

        do
                result = waitpid(pid, NULL, 0);
        while (result < 0 && errno == EINTR);
        return result == pid;
}

void process_release(struct process *process)
{
        if (process->pid == 0)
                return;
        (void)kill(process->pid, SIGKILL);
        (void)reap(process->pid);
        process->pid = 0;
}

/*
 * The first child of this process; 0 when there is none, and without CONFIG_PROC_CHILDREN.
 * Inside a pid namespace it is the host's number, which means nothing here: there, all
 * processes end with this one anyway.
 */
static pid_t find_child(void)
{
        auto_strbuf struct strbuf text = STRBUF_INIT;
        struct error ignored = ERROR_INIT;

        if (io_read_file(AT_FDCWD, "/proc/thread-self/children", CHILDREN_LIMIT, &text, &ignored) <
            0)
                return 0;
        return atoi(strbuf_text(&text));
}

/* Kill a program, if it is still there, and what it has started. See take_signal. */
static void kill_all(struct process *process)
{
        pid_t child;

        process_release(process);
        for (int i = 0; i < DESCENDANTS_LIMIT && (child = find_child()) > 0; i++) {
                (void)kill(child, SIGKILL);
                if (!reap(child))
                        break;
        }
        (void)prctl(PR_SET_CHILD_SUBREAPER, 0);
}

/* The signals that are held up during a wait: those that would end this process, and SIGCHLD. */
static void held_signals(sigset_t *set)
{
        static const int endings[] = { SIGHUP, SIGINT, SIGQUIT, SIGTERM };

        (void)sigemptyset(set);
        (void)sigaddset(set, SIGCHLD);
        for (size_t i = 0; i < ARRAY_SIZE(endings); i++) {
                struct sigaction action;

                if (sigaction(endings[i], NULL, &action) == 0 && action.sa_handler != SIG_IGN)
                        (void)sigaddset(set, endings[i]);
        }
}

struct waiting {
        struct process *process;
        int signal_fd, reply_fd;
        int signal;         /* that came and was passed on, or 0 */
        long long deadline; /* for the program to end after it */
};

static void take_signal(struct waiting *wait)
{
        struct signalfd_siginfo info;

        if (read(wait->signal_fd, &info, sizeof(info)) != sizeof(info) || info.ssi_signo == SIGCHLD)
                return;
        if (!wait->signal)
                wait->deadline = clock_ms() + GRACE;
        /*
         * From now on this process inherits the children of those that end (prctl(2)), so
         * that none gets away. What has detached itself before, as a daemon does, belongs
         * to init and stays.
         */
        (void)prctl(PR_SET_CHILD_SUBREAPER, 1);
        wait->signal = (int)info.ssi_signo;
        (void)kill(wait->process->pid, wait->signal);
}

/* Returns as process_wait; 0 as well when a signal came. */
static int wait_loop(struct waiting *wait, int *ret_status, struct error *err)
{
        struct pollfd polled[] = {
                { .fd = wait->signal_fd, .events = POLLIN },
                { .fd = wait->reply_fd, .events = POLLIN },
        };

        for (;;) {
                long long left = wait->signal ? wait->deadline - clock_ms() : -1;
                pid_t ended = waitpid(wait->process->pid, ret_status, WNOHANG);

                if (ended > 0) {
                        wait->process->pid = 0;
                        return 0;
                }
                if (ended < 0 && errno != EINTR)
                        return error_errno(err, "waitpid");
                if (wait->signal && left <= 0)
                        return 0;
                if (poll(polled, ARRAY_SIZE(polled), (int)left) < 0 && errno != EINTR)
                        return error_errno(err, "poll");
                if (polled[0].revents)
                        take_signal(wait);
                if (polled[1].revents & POLLIN && !wait->signal)
                        return 1;
                if (polled[1].revents & ~POLLIN)
                        polled[1].fd = -1; /* closed: it is about to end */
        }
}

int process_wait(struct process *process, int reply_fd, int *ret_status, struct error *err)
{
        struct waiting wait = { .process = process, .reply_fd = reply_fd };
        auto_close int signal_fd = -1;
        sigset_t held, before;
        int result;

        held_signals(&held);
        if (sigprocmask(SIG_BLOCK, &held, &before) < 0)
                return error_errno(err, "sigprocmask");
        wait.signal_fd = signal_fd = signalfd(-1, &held, SFD_CLOEXEC | SFD_NONBLOCK);
        result = signal_fd < 0 ? error_errno(err, "signalfd") : wait_loop(&wait, ret_status, err);
        if (wait.signal) {
                kill_all(process);
                (void)raise(wait.signal);
                result = error_set(err, EINTR, "interrupted by signal %d", wait.signal);
        }
        (void)sigprocmask(SIG_SETMASK, &before, NULL); /* and here it ends, if that was held up */
        return result;
}

int process_failed(const char *what, int status, struct error *err)
{
        if (WIFSIGNALED(status))
                return error_set(err, ECANCELED, "%s exited with return code %d (%s)", what,
                                 128 + WTERMSIG(status), strsignal(WTERMSIG(status)));
        return error_set(err, ECANCELED, "%s exited with return code %d", what,
                         WEXITSTATUS(status));
}
