/*
 * A child that goes on in place of this process, which stays behind as its stand-in:
 * only children get into another pid namespace.
 *
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
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "runtime/container.h"

struct stand_in {
        sigset_t mask;              /* of signals, as it was */
        struct sigaction old_child; /* what was done about SIGCHLD */
        int alive[2];               /* a pipe, whose end tells the child that we died */
        pid_t child;
        int terminal; /* -1: not ours to give */
        bool given;   /* the child's side has the terminal now */
        pid_t group;  /* that is in the foreground there */
};

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

/* Pass signals on until the child has ended. Returns its wait status. */
static int watch(struct stand_in *stand_in, const sigset_t *all)
{
        for (;;) {
                siginfo_t info;
                int status, sig = sigwaitinfo(all, &info);

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
                } else if (sig > 0 && info.si_code <= 0) {
                        /* From a process; what the kernel sends (the terminal's keys) goes to all.
                         */
                        (void)kill(stand_in->child, sig);
                }
        }
}

int child_continue(int *ret_status, struct error *err)
{
        const struct sigaction by_default = { .sa_handler = SIG_DFL };
        auto_cleanup(stand_in_release) struct stand_in stand_in = {
                .alive = { -1, -1 },
                .terminal = -1,
        };
        sigset_t all;

        if (pipe2(stand_in.alive, O_CLOEXEC) < 0)
                return error_errno(err, "cannot make a pipe");
        stand_in.terminal = open_terminal();
        (void)sigfillset(&all);
        (void)sigprocmask(SIG_SETMASK, &all, &stand_in.mask);
        /* Ignored, it would take the exit status along. */
        (void)sigaction(SIGCHLD, &by_default, &stand_in.old_child);

        stand_in.child = fork();
        if (stand_in.child < 0) {
                error_errno(err, "cannot start a process");
                (void)sigprocmask(SIG_SETMASK, &stand_in.mask, NULL);
                return -1;
        }
        if (stand_in.child == 0)
                return go_on(&stand_in, err);

        (void)close(TAKE_FD(stand_in.alive[0]));
        stand_in.given = stand_in.terminal >= 0;
        stand_in.group = stand_in.child;
        *ret_status = watch(&stand_in, &all);
        take_terminal_back(&stand_in);
        (void)sigprocmask(SIG_SETMASK, &stand_in.mask, NULL);
        return 1;
}
