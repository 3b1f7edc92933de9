/*
 * runtime/join_target.c: one process is meant and stays meant, with a pidfd and, as before
 * Linux 5.8, without one. Skipped where there are no user namespaces.
 */
#include <errno.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "runtime/join.h"

#define NAMESPACES (CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWUTS)

/* A process in namespaces of its own that waits to be killed; -1 where they are forbidden. */
static pid_t start_target(void)
{
        int ready[2];
        char byte;
        pid_t pid;

        assert_int_equal(pipe(ready), 0);
        pid = fork();
        assert_true(pid >= 0);
        if (pid == 0) {
                if (unshare(NAMESPACES) < 0 || write(ready[1], "r", 1) != 1)
                        _exit(1);
                for (;;)
                        (void)pause();
        }
        (void)close(ready[1]);
        if (read(ready[0], &byte, 1) != 1) {
                (void)waitpid(pid, NULL, 0);
                pid = -1;
        }
        (void)close(ready[0]);
        return pid;
}

static void end_target(pid_t pid)
{
        assert_int_equal(kill(pid, SIGKILL), 0);
        assert_int_equal(waitpid(pid, NULL, 0), pid);
}

static int is_in(pid_t pid, const char *kind)
{
        char path[64], own[64] = "", its[64] = "";

        (void)snprintf(path, sizeof(path), "/proc/self/ns/%s", kind);
        if (readlink(path, own, sizeof(own) - 1) < 0)
                return 0;
        (void)snprintf(path, sizeof(path), "/proc/%d/ns/%s", pid, kind);
        if (readlink(path, its, sizeof(its) - 1) < 0)
                return 0;
        return strcmp(own, its) == 0;
}

/* In a child, because there is no way back. Returns its exit status: 0 when all is well. */
static int join_in_child(pid_t pid, int with_pidfd)
{
        pid_t child = fork();
        int status;

        assert_true(child >= 0);
        if (child == 0) {
                auto_join_target struct join_target target = JOIN_TARGET_INIT;
                struct error err = ERROR_INIT;
                int others = 0;

                if (join_target_open(&target, pid, &err) < 0 ||
                    join_target_compare(&target, JOIN_ALL, &others, &err) < 0)
                        _exit(2);
                if (others != NAMESPACES)
                        _exit(3);
                if (!with_pidfd && target.pidfd >= 0)
                        (void)close(TAKE_FD(target.pidfd));
                if (join_target_enter(&target, others, false, &status, &err) != 0)
                        _exit(4);
                /* The mount namespace is another, and /proc still that of this one. */
                if (!is_in(pid, "user") || !is_in(pid, "mnt") || !is_in(pid, "uts"))
                        _exit(5);
                _exit(0);
        }
        assert_int_equal(waitpid(child, &status, 0), child);
        return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void test_enter(void **state)
{
        pid_t pid = start_target();

        (void)state;
        if (pid < 0)
                skip();
        assert_int_equal(join_in_child(pid, 1), 0);
        assert_int_equal(join_in_child(pid, 0), 0);
        end_target(pid);
}

/* The process ends between the first look and each of the steps. */
static void test_ended(void **state)
{
        (void)state;
        for (int with_pidfd = 0; with_pidfd < 2; with_pidfd++) {
                auto_join_target struct join_target target = JOIN_TARGET_INIT;
                struct error err = ERROR_INIT;
                pid_t pid = start_target();
                int others, status;

                if (pid < 0)
                        skip();
                assert_int_equal(join_target_open(&target, pid, &err), 0);
                if (!with_pidfd && target.pidfd >= 0)
                        (void)close(TAKE_FD(target.pidfd));
                end_target(pid);
                assert_int_equal(join_target_compare(&target, JOIN_ALL, &others, &err), -1);
                assert_int_equal(err.code, ESRCH);
                err.code = 0;
                assert_int_equal(join_target_enter(&target, NAMESPACES, false, &status, &err), -1);
                assert_int_equal(err.code, ESRCH);
        }
}

static void test_no_process(void **state)
{
        static const pid_t pids[] = { 4194304, 0, -1 };

        (void)state;
        for (size_t i = 0; i < ARRAY_SIZE(pids); i++) {
                auto_join_target struct join_target target = JOIN_TARGET_INIT;
                struct error err = ERROR_INIT;

                assert_int_equal(join_target_open(&target, pids[i], &err), -1);
                assert_int_equal(err.code, ESRCH);
        }
}

/* A process that is where we are: nothing to enter. */
static void test_own_namespaces(void **state)
{
        auto_join_target struct join_target target = JOIN_TARGET_INIT;
        struct error err = ERROR_INIT;
        int others = -1;

        (void)state;
        assert_int_equal(join_target_open(&target, getpid(), &err), 0);
        assert_int_equal(join_target_compare(&target, JOIN_ALL, &others, &err), 0);
        assert_int_equal(others, 0);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_enter),
                cmocka_unit_test(test_ended),
                cmocka_unit_test(test_no_process),
                cmocka_unit_test(test_own_namespaces),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
