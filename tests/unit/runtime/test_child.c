/* runtime/child.c: who waits for the stand-in sees what the child does. */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "runtime/child.h"
#include "runtime/container.h"

#define FAILED 99

/* What the child does; the byte that it writes first says that it is there. */
typedef void (*child_function)(int out);

static void say(int out, char c)
{
        if (write(out, &c, 1) != 1)
                _exit(FAILED);
}

static char hear(int in)
{
        char c = '\0';

        return read(in, &c, 1) == 1 ? c : '\0';
}

/* Run the function behind a stand-in, whose pid is returned. It ends as the child does. */
static pid_t stand_in_for(child_function function, int *ret_in)
{
        int pipes[2], status;
        struct error err = ERROR_INIT;
        pid_t pid;

        assert_int_equal(pipe2(pipes, O_CLOEXEC), 0);
        pid = fork();
        assert_true(pid >= 0);
        if (pid == 0) {
                int result = child_continue(&status, &err);

                if (result == 0) {
                        function(pipes[1]);
                        _exit(0);
                }
                if (result < 0)
                        _exit(FAILED);
                _exit(WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status));
        }
        (void)close(pipes[1]);
        *ret_in = pipes[0];
        return pid;
}

static int wait_for(pid_t pid, int options)
{
        int status;

        assert_int_equal(waitpid(pid, &status, options), pid);
        return status;
}

static void exit_with_42(int out)
{
        (void)out;
        _exit(42);
}

static void test_exit_status(void **state)
{
        int in;
        pid_t pid = stand_in_for(exit_with_42, &in);

        (void)state;
        assert_int_equal(WEXITSTATUS(wait_for(pid, 0)), 42);
        (void)close(in);
}

static void die_from_a_signal(int out)
{
        (void)out;
        (void)raise(SIGKILL);
}

static void test_signal_status(void **state)
{
        int in;
        pid_t pid = stand_in_for(die_from_a_signal, &in);

        (void)state;
        assert_int_equal(WEXITSTATUS(wait_for(pid, 0)), 128 + SIGKILL);
        (void)close(in);
}

/* A caller that ignores SIGCHLD does not cost the status, and the child ignores it again. */
static void exit_if_ignoring(int out)
{
        struct sigaction action;

        (void)out;
        if (sigaction(SIGCHLD, NULL, &action) < 0 || action.sa_handler != SIG_IGN)
                _exit(FAILED);
        _exit(7);
}

static void test_ignored_sigchld(void **state)
{
        int in, status;
        pid_t pid;

        (void)state;
        (void)signal(SIGCHLD, SIG_IGN);
        pid = stand_in_for(exit_if_ignoring, &in);
        (void)signal(SIGCHLD, SIG_DFL);
        status = wait_for(pid, 0);
        assert_int_equal(WEXITSTATUS(status), 7);
        (void)close(in);
}

static volatile sig_atomic_t got_term;

static void note_term(int sig)
{
        (void)sig;
        got_term = 1;
}

static void wait_for_term(int out)
{
        sigset_t none;
        sigset_t term;

        (void)sigemptyset(&none);
        (void)sigemptyset(&term);
        (void)sigaddset(&term, SIGTERM);
        (void)sigprocmask(SIG_BLOCK, &term, NULL);
        (void)signal(SIGTERM, note_term);
        say(out, 'r');
        while (!got_term)
                (void)sigsuspend(&none);
        _exit(3);
}

static void test_signals_reach_the_child(void **state)
{
        int in;
        pid_t pid = stand_in_for(wait_for_term, &in);

        (void)state;
        assert_int_equal(hear(in), 'r');
        assert_int_equal(kill(pid, SIGTERM), 0);
        assert_int_equal(WEXITSTATUS(wait_for(pid, 0)), 3);
        (void)close(in);
}

static void stop_then_exit(int out)
{
        say(out, 'r');
        (void)raise(SIGSTOP);
        _exit(5);
}

static void test_stops_along(void **state)
{
        int in, status;
        pid_t pid = stand_in_for(stop_then_exit, &in);

        (void)state;
        assert_int_equal(hear(in), 'r');
        status = wait_for(pid, WUNTRACED);
        assert_true(WIFSTOPPED(status));
        assert_int_equal(kill(pid, SIGCONT), 0);
        assert_int_equal(WEXITSTATUS(wait_for(pid, 0)), 5);
        (void)close(in);
}

static void wait_for_ever(int out)
{
        say(out, 'r');
        for (;;)
                (void)pause();
}

/* The pipe's last writer is the child: its end shows when the child is gone. */
static void test_child_dies_with_the_stand_in(void **state)
{
        int in;
        pid_t pid = stand_in_for(wait_for_ever, &in);

        (void)state;
        assert_int_equal(hear(in), 'r');
        assert_int_equal(kill(pid, SIGKILL), 0);
        assert_true(WIFSIGNALED(wait_for(pid, 0)));
        assert_int_equal(hear(in), '\0');
        (void)close(in);
}

/* ---- the first process of a pid namespace ---- */

/* As stand_in_for, in a user namespace; the stand-in dies as its child did. 0: not allowed here. */
static pid_t first_process(child_function function, int *ret_in)
{
        struct error err = ERROR_INIT;
        int pipes[2];
        pid_t pid;

        assert_int_equal(pipe2(pipes, O_CLOEXEC), 0);
        pid = fork();
        assert_true(pid >= 0);
        if (pid == 0) {
                struct stand_in stand_in;
                int result, status;

                if (unshare(CLONE_NEWUSER) < 0)
                        _exit(FAILED);
                result = child_fork(&stand_in, true, &err);
                if (result < 0)
                        _exit(FAILED);
                if (result == 0) {
                        function(pipes[1]);
                        _exit(0);
                }
                status = child_watch(&stand_in);
                _exit(WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status));
        }
        (void)close(pipes[1]);
        *ret_in = pipes[0];
        return pid;
}

static void say_the_number(int out)
{
        (void)out;
        _exit(getpid() == 1 ? 12 : FAILED);
}

static void ignore_term(int out)
{
        (void)signal(SIGTERM, SIG_IGN);
        say(out, 'r');
        for (;;)
                (void)pause();
}

static void test_first_process(void **state)
{
        static const int deadly[] = { SIGTERM, SIGINT, SIGHUP, SIGUSR1, SIGQUIT };
        int in, status;
        pid_t pid = first_process(say_the_number, &in);

        (void)state;
        status = wait_for(pid, 0);
        (void)close(in);
        if (WEXITSTATUS(status) == FAILED)
                skip(); /* no user namespaces here */
        assert_int_equal(WEXITSTATUS(status), 12);

        /* What it handles, ignores or does not: each as without the namespace. */
        pid = first_process(wait_for_term, &in);
        assert_int_equal(hear(in), 'r');
        assert_int_equal(kill(pid, SIGTERM), 0);
        assert_int_equal(WEXITSTATUS(wait_for(pid, 0)), 3);
        (void)close(in);
        for (size_t i = 0; i < ARRAY_SIZE(deadly); i++) {
                pid = first_process(wait_for_ever, &in);
                assert_int_equal(hear(in), 'r');
                assert_int_equal(kill(pid, deadly[i]), 0);
                assert_int_equal(WEXITSTATUS(wait_for(pid, 0)), 128 + deadly[i]);
                (void)close(in);
        }
        pid = first_process(ignore_term, &in);
        assert_int_equal(hear(in), 'r');
        assert_int_equal(kill(pid, SIGTERM), 0);
        assert_int_equal(kill(pid, SIGWINCH), 0);
        assert_int_equal(waitpid(pid, &status, WNOHANG), 0);
        assert_int_equal(kill(pid, SIGTSTP), 0);
        assert_true(WIFSTOPPED(wait_for(pid, WUNTRACED)));
        assert_int_equal(kill(pid, SIGCONT), 0);
        assert_int_equal(kill(pid, SIGINT), 0);
        assert_int_equal(WEXITSTATUS(wait_for(pid, 0)), 128 + SIGINT);
        (void)close(in);
        /* Its end is that of the first process, whatever that handles. */
        pid = first_process(ignore_term, &in);
        assert_int_equal(hear(in), 'r');
        assert_int_equal(kill(pid, SIGKILL), 0);
        assert_true(WIFSIGNALED(wait_for(pid, 0)));
        assert_int_equal(hear(in), '\0');
        (void)close(in);
}

/* ---- the terminal ---- */

/* Is in the foreground, in a group of its own; ends on a line, and stops before it. */
static void use_the_terminal(int out)
{
        char line[16];

        if (getpgrp() != getpid() || tcgetpgrp(STDIN_FILENO) != getpgrp())
                _exit(FAILED);
        say(out, 'r');
        (void)raise(SIGTSTP);
        if (tcgetpgrp(STDIN_FILENO) != getpgrp())
                _exit(FAILED);
        say(out, 'c');
        _exit(read(STDIN_FILENO, line, sizeof(line)) == 3 ? 11 : FAILED);
}

/* The leader of a session on the terminal, as a shell that ran the stand-in. */
static int be_the_shell(int terminal_fd)
{
        int in, status;
        pid_t pid;

        if (setsid() < 0 || ioctl(terminal_fd, TIOCSCTTY, 0) < 0 ||
            dup2(terminal_fd, STDIN_FILENO) < 0 || dup2(terminal_fd, STDOUT_FILENO) < 0)
                return 1;
        pid = stand_in_for(use_the_terminal, &in);
        if (hear(in) != 'r' || waitpid(pid, &status, WUNTRACED) != pid || !WIFSTOPPED(status))
                return 2;
        if (tcgetpgrp(STDIN_FILENO) != getpgrp())
                return 3;
        if (kill(pid, SIGCONT) < 0 || hear(in) != 'c')
                return 4;
        if (waitpid(pid, &status, 0) != pid || WEXITSTATUS(status) != 11)
                return 5;
        return tcgetpgrp(STDIN_FILENO) == getpgrp() ? 0 : 6;
}

static void test_terminal(void **state)
{
        auto_close int master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
        int status;
        pid_t pid;

        (void)state;
        assert_true(master >= 0);
        assert_int_equal(grantpt(master), 0);
        assert_int_equal(unlockpt(master), 0);
        assert_int_equal(write(master, "hi\n", 3), 3);
        pid = fork();
        assert_true(pid >= 0);
        if (pid == 0) {
                int terminal_fd = open(ptsname(master), O_RDWR | O_NOCTTY | O_CLOEXEC);

                _exit(terminal_fd < 0 ? 7 : be_the_shell(terminal_fd));
        }
        status = wait_for(pid, 0);
        assert_true(WIFEXITED(status));
        assert_int_equal(WEXITSTATUS(status), 0);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_exit_status),
                cmocka_unit_test(test_signal_status),
                cmocka_unit_test(test_ignored_sigchld),
                cmocka_unit_test(test_signals_reach_the_child),
                cmocka_unit_test(test_stops_along),
                cmocka_unit_test(test_child_dies_with_the_stand_in),
                cmocka_unit_test(test_first_process),
                cmocka_unit_test(test_terminal),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
