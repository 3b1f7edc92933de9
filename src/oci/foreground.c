/*
 * A process that stands for a container's: it passes signals on, and where that has a
 * terminal of its own, all that is typed and shown between the two.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <termios.h>

#include "oci/container.h"
#include "util/io.h"

void foreground_adopt(void)
{
        (void)prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
}

void foreground_hold_signals(void)
{
        sigset_t all;

        (void)sigfillset(&all);
        (void)sigprocmask(SIG_SETMASK, &all, NULL);
}

struct relay {
        pid_t pid;
        int signals, master;
        bool input;           /* standard input is still read */
        bool raw;             /* it is a terminal, whose old state is kept */
        struct termios before;
};

static void copy_size(const struct relay *relay)
{
        struct winsize size;

        if (relay->master >= 0 && ioctl(STDIN_FILENO, TIOCGWINSZ, &size) == 0)
                (void)ioctl(relay->master, TIOCSWINSZ, &size);
}

/* The keys are for the other terminal, which makes of them what its programs want. */
static void make_raw(struct relay *relay)
{
        struct termios raw;

        if (tcgetattr(STDIN_FILENO, &relay->before) < 0)
                return;
        raw = relay->before;
        cfmakeraw(&raw);
        relay->raw = tcsetattr(STDIN_FILENO, TCSANOW, &raw) == 0;
        copy_size(relay);
}

/* Whether anything was passed on; false at the end. */
static bool pass_on(int from, int to)
{
        char buffer[8192];
        ssize_t size = read(from, buffer, sizeof(buffer));

        if (size < 0 && (errno == EINTR || errno == EAGAIN))
                return true;
        return size > 0 && io_write_full(to, buffer, (size_t)size) == 0;
}

/* Take a signal. Returns true, and its wait status, once the process has ended. */
static bool take_signal(const struct relay *relay, int *ret_status)
{
        struct signalfd_siginfo info;
        int status;
        pid_t child;

        if (read(relay->signals, &info, sizeof(info)) != sizeof(info))
                return false;
        switch (info.ssi_signo) {
        case SIGCHLD:
                /* Orphans of the container come here, too. */
                while ((child = waitpid(-1, &status, WNOHANG)) > 0)
                        if (child == relay->pid) {
                                *ret_status = status;
                                return true;
                        }
                break;
        case SIGWINCH:
                copy_size(relay);
                break;
        default:
                (void)kill(relay->pid, (int)info.ssi_signo);
                break;
        }
        return false;
}

static void end_input(struct relay *relay)
{
        char end = 4; /* Ctrl-D: a terminal has no other way to say it */

        relay->input = false;
        if (!relay->raw)
                (void)io_write_full(relay->master, &end, sizeof(end));
}

/* What was written before the end has yet to be read. */
static void drain(const struct relay *relay)
{
        if (relay->master < 0)
                return;
        (void)fcntl(relay->master, F_SETFL, O_NONBLOCK);
        for (;;) {
                struct pollfd more = { .fd = relay->master, .events = POLLIN };

                if (poll(&more, 1, 0) <= 0 || !(more.revents & POLLIN) ||
                    !pass_on(relay->master, STDOUT_FILENO))
                        return;
        }
}

static int watch(struct relay *relay)
{
        bool output = relay->master >= 0;
        int status;

        for (;;) {
                struct pollfd fds[] = {
                        { .fd = relay->signals, .events = POLLIN },
                        { .fd = output ? relay->master : -1, .events = POLLIN },
                        { .fd = relay->input ? STDIN_FILENO : -1, .events = POLLIN },
                };

                if (poll(fds, ARRAY_SIZE(fds), -1) < 0 && errno != EINTR)
                        return 1 << 8;
                if (fds[1].revents && !pass_on(relay->master, STDOUT_FILENO))
                        output = false; /* EIO: nobody has the other side open now */
                if (fds[2].revents && !pass_on(STDIN_FILENO, relay->master))
                        end_input(relay);
                if (fds[0].revents && take_signal(relay, &status))
                        return status;
        }
}

int foreground_wait(pid_t pid, int master_fd)
{
        struct relay relay = { .pid = pid, .master = master_fd, .input = master_fd >= 0 };
        sigset_t all;
        int status;

        (void)sigfillset(&all);
        relay.signals = signalfd(-1, &all, SFD_CLOEXEC);
        /* One that ended before signals were held. */
        if (waitpid(pid, &status, relay.signals < 0 ? 0 : WNOHANG) != pid) {
                if (relay.input)
                        make_raw(&relay);
                status = watch(&relay);
        }
        drain(&relay);
        if (relay.raw)
                (void)tcsetattr(STDIN_FILENO, TCSANOW, &relay.before);
        if (relay.signals >= 0)
                (void)close(relay.signals);
        return status;
}
