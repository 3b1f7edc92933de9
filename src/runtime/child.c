/*
 * Who waits for this process must see no difference: signals sent to it reach the
 * child, it stops when the child stops, ends when it ends, and the child does not
 * outlive it. All signals are blocked in the stand-in and taken one by one, so there
 * are no handlers and no races with them.
 *
 * The terminal. Where standard input and output are the terminal and ours, the child
 * gets it with a process group of its own: a shell inside cannot see our group's
 * number (tcgetpgrp(3) says 0), and could not give the terminal back to it. Elsewhere
 * (a pipeline whose other programs need the terminal, a batch job) the child stays in
 * the group, and what the terminal's keys send reaches it without us.
 *
 * The first process of a pid namespace. The kernel keeps from it every signal that it
 * neither handles nor blocks (pid_namespaces(7)): Ctrl-C would not end a plain program.
 * So the stand-in does from outside what the signal would have done, kill or stop. What
 * the keys send to the child's group it learns from a listener, a process in that group.
 */
#include "runtime/child.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "host/host.h"
#include "runtime/container.h"
#include "util/io.h"

#define LISTENER_NAME "enroot-keys"
#define STATUS_LIMIT  (64u << 10) /* bytes of /proc/PID/status */

/* A descriptor of the terminal if this process talks to a person through it, or -1. */
static int open_terminal(void)
{
        if (!isatty(STDIN_FILENO) || !isatty(STDOUT_FILENO) || tcgetpgrp(STDIN_FILENO) != getpgrp())
                return -1;
        return fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
}

static void stand_in_release(struct stand_in *stand_in)
{
        int *fds[] = { &stand_in->alive[0], &stand_in->alive[1], &stand_in->terminal };

        for (size_t i = 0; i < ARRAY_SIZE(fds); i++)
                if (*fds[i] >= 0)
                        (void)close(TAKE_FD(*fds[i]));
}

/* ---- the child ---- */

static int go_on(struct stand_in *stand_in, struct error *err)
{
        struct pollfd alive = { .fd = stand_in->alive[0], .events = POLLIN };

        if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0)
                return error_errno(err, "cannot ask to end with the parent process");
        (void)close(TAKE_FD(stand_in->alive[1]));
        /* It may have died before; getppid(2) says 0 for a parent out of sight either way. */
        if (poll(&alive, 1, 0) != 0)
                return error_set(err, ECHILD, "the parent process has died");
        /* SIGTTOU, which a background process gets for it, is still blocked. */
        if (stand_in->terminal >= 0 &&
            (setpgid(0, 0) < 0 || tcsetpgrp(stand_in->terminal, getpid()) < 0))
                return error_errno(err, "cannot take the terminal");
        (void)sigaction(SIGCHLD, &stand_in->old_child, NULL);
        (void)sigprocmask(SIG_SETMASK, &stand_in->mask, NULL);
        return 0;
}

/* ---- the stand-in ---- */

static void take_terminal_back(struct stand_in *stand_in)
{
        if (!stand_in->given)
                return;
        stand_in->group = tcgetpgrp(stand_in->terminal);
        stand_in->given = false;
        (void)tcsetpgrp(stand_in->terminal, getpgrp());
}

/* After SIGCONT; with "bg" the terminal is the calling shell's and not ours to give. */
static void continue_child(struct stand_in *stand_in)
{
        if (stand_in->terminal >= 0 && !stand_in->given &&
            tcgetpgrp(stand_in->terminal) == getpgrp())
                stand_in->given = tcsetpgrp(stand_in->terminal, stand_in->group) == 0;
        (void)kill(stand_in->terminal >= 0 ? -stand_in->child : stand_in->child, SIGCONT);
}

/* Whether the child does something of its own about a signal, or leaves it for later. */
static bool handles(pid_t child, int sig)
{
        static const char *const fields[] = { "SigBlk", "SigIgn", "SigCgt" };
        auto_strbuf struct strbuf text = STRBUF_INIT;
        struct error ignored = ERROR_INIT;
        char path[32], name[16];

        (void)snprintf(path, sizeof(path), "/proc/%d/status", child);
        if (io_read_file(-1, path, STATUS_LIMIT, &text, &ignored) < 0)
                return true;
        for (size_t i = 0; i < ARRAY_SIZE(fields); i++) {
                const char *field;

                (void)snprintf(name, sizeof(name), "\n%s:\t", fields[i]);
                field = strstr(strbuf_text(&text), name);
                if (field && strtoull(field + strlen(name), NULL, 16) >> (sig - 1) & 1)
                        return true;
        }
        return false;
}

/* Do to a first process what a signal does to any other that does not handle it. */
static void act_by_default(struct stand_in *stand_in, int sig)
{
        switch (sig) {
        case SIGURG:
        case SIGWINCH:
                break;
        case SIGTSTP:
        case SIGTTIN:
        case SIGTTOU:
                (void)kill(stand_in->child, SIGSTOP);
                break;
        default:
                stand_in->ended_by = sig;
                (void)kill(stand_in->child, SIGKILL);
                break;
        }
}

static void pass_on(struct stand_in *stand_in, const siginfo_t *info)
{
        bool heard = info->si_code == SI_QUEUE && info->si_pid == stand_in->listener;
        /* From a process; what the kernel sends (the terminal's keys) goes to the group. */
        bool is_ours = info->si_code <= 0 && !heard;

        if (stand_in->first && !handles(stand_in->child, info->si_signo))
                act_by_default(stand_in, info->si_signo);
        else if (is_ours)
                (void)kill(stand_in->child, info->si_signo);
}

/* Pass signals on until the child has ended. Returns its wait status. */
static int watch(struct stand_in *stand_in)
{
        sigset_t all;

        (void)sigfillset(&all);
        for (;;) {
                siginfo_t info;
                int status, sig = sigwaitinfo(&all, &info);

                if (sig == SIGCHLD) {
                        if (waitpid(stand_in->child, &status, WNOHANG | WUNTRACED) <= 0)
                                continue;
                        if (!WIFSTOPPED(status))
                                return status;
                        take_terminal_back(stand_in);
                        (void)kill(getpid(), SIGSTOP);
                        continue_child(stand_in);
                } else if (sig == SIGCONT) {
                        continue_child(stand_in);
                } else if (sig > 0) {
                        pass_on(stand_in, &info);
                }
        }
}

/* ---- the listener ---- */

/* Tell the stand-in what the group was sent. Ends with it, by a signal that it asked for. */
static _Noreturn void listen_to_keys(pid_t parent)
{
        sigset_t all;

        (void)sigfillset(&all);
        for (;;) {
                siginfo_t info;
                int sig = sigwaitinfo(&all, &info);

                if (sig > 0 && sig != SIGCONT && sig != SIGCHLD)
                        (void)sigqueue(parent, sig, (union sigval){ .sival_int = 0 });
        }
}

/* Before the new pid namespace: it must be no process of that. */
static int start_listener(struct stand_in *stand_in, struct error *err)
{
        pid_t parent = getpid(), listener = fork();

        if (listener < 0)
                return error_errno(err, "cannot start a process");
        if (listener > 0) {
                stand_in->listener = listener;
                return 0;
        }
        if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 || getppid() != parent ||
            prctl(PR_SET_DUMPABLE, 0) < 0 || prctl(PR_SET_NAME, LISTENER_NAME) < 0)
                _exit(EXIT_FAILURE);
        runtime_close_descriptors(NULL, 0);
        listen_to_keys(parent);
}

static void end_listener(struct stand_in *stand_in)
{
        pid_t listener = TAKE(stand_in->listener, 0);

        if (listener <= 0)
                return;
        (void)kill(listener, SIGKILL);
        while (waitpid(listener, NULL, 0) < 0 && errno == EINTR)
                ;
}

/* ---- both ---- */

static int fork_child(struct stand_in *stand_in, bool new_pids, struct error *err)
{
        if (new_pids && stand_in->terminal >= 0 && start_listener(stand_in, err) < 0)
                return -1;
        if (new_pids && unshare(CLONE_NEWPID) < 0) {
                error_errno(err, "cannot create a PID namespace");
                return host_explain(HOST_PID_NAMESPACE, err);
        }
        stand_in->child = fork();
        if (stand_in->child < 0)
                return error_errno(err, "cannot start a process");
        return 0;
}

int child_fork(struct stand_in *stand_in, bool new_pids, struct error *err)
{
        const struct sigaction by_default = { .sa_handler = SIG_DFL };
        sigset_t all;

        *stand_in = (struct stand_in){ .alive = { -1, -1 }, .first = new_pids };
        stand_in->terminal = open_terminal();
        if (pipe2(stand_in->alive, O_CLOEXEC) < 0) {
                error_errno(err, "cannot make a pipe");
                stand_in_release(stand_in);
                return -1;
        }
        (void)sigfillset(&all);
        (void)sigprocmask(SIG_SETMASK, &all, &stand_in->mask);
        /* Ignored, it would take the exit status along. */
        (void)sigaction(SIGCHLD, &by_default, &stand_in->old_child);
        if (fork_child(stand_in, new_pids, err) < 0) {
                end_listener(stand_in);
                stand_in_release(stand_in);
                (void)sigprocmask(SIG_SETMASK, &stand_in->mask, NULL);
                return -1;
        }
        if (stand_in->child == 0) {
                int result = go_on(stand_in, err);

                stand_in_release(stand_in);
                return result;
        }
        (void)close(TAKE_FD(stand_in->alive[0]));
        return 1;
}

int child_watch(struct stand_in *stand_in)
{
        int keep[] = { stand_in->alive[1], stand_in->terminal };
        int status;

        /* Nobody inside gets at the host's files through us (ptrace(2), access mode checking). */
        (void)prctl(PR_SET_DUMPABLE, 0);
        runtime_close_descriptors(keep, ARRAY_SIZE(keep));
        if (stand_in->listener > 0) {
                (void)setpgid(stand_in->child,
                              stand_in->child); /* as it does itself: who is first? */
                (void)setpgid(stand_in->listener, stand_in->child);
        }
        stand_in->given = stand_in->terminal >= 0;
        stand_in->group = stand_in->child;
        status = watch(stand_in);
        take_terminal_back(stand_in);
        end_listener(stand_in);
        stand_in_release(stand_in);
        (void)sigprocmask(SIG_SETMASK, &stand_in->mask, NULL);
        if (stand_in->ended_by && WIFSIGNALED(status))
                return stand_in->ended_by; /* as wait(2) has a death by that signal */
        return status;
}

int child_continue(int *ret_status, struct error *err)
{
        struct stand_in stand_in;
        int result = child_fork(&stand_in, false, err);

        if (result > 0)
                *ret_status = child_watch(&stand_in);
        return result;
}
