/* hooks/: which programs run, how they run, and what they say back. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "env/env.h"
#include "hooks/builtin.h"
#include "hooks/exchange.h"
#include "hooks/process.h"
#include "util/io.h"
#include "util/path.h"

static char scratch[] = "/tmp/enroot-test-programs-XXXXXX";
static struct config config;
static struct exchange exchange;
static struct strlist environment;
static struct mount_plan mounts;

static int set_up(void **state)
{
        (void)state;
        strcpy(scratch + strlen(scratch) - 6, "XXXXXX");
        if (!mkdtemp(scratch) || chdir(scratch) < 0 || mkdir("system", 0755) < 0 ||
            mkdir("system/hooks.d", 0755) < 0 || mkdir("user", 0755) < 0 ||
            mkdir("user/hooks.d", 0755) < 0)
                return -1;
        config = (struct config){ .sysconf_path = "system", .config_path = "user" };
        if (strlist_append(&config.environment, "PATH=/usr/bin:/bin") < 0 ||
            strlist_append(&config.environment, "BASH_ENV=/x") < 0)
                return -1;
        return 0;
}

static int tear_down(void **state)
{
        struct error err = ERROR_INIT;

        (void)state;
        strlist_release(&config.environment);
        strlist_release(&environment);
        mount_plan_release(&mounts);
        exchange_release(&exchange);
        exchange = (struct exchange){ .mount_count = 0 };
        return chdir("/") < 0 ? -1 : path_remove_tree(AT_FDCWD, scratch, &err);
}

static void write_file(const char *path, const char *text, mode_t mode)
{
        auto_close int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode);

        assert_true(fd >= 0);
        assert_int_equal(io_write_full(fd, text, strlen(text)), 0);
}

static void assert_content(const char *path, const char *expected)
{
        auto_strbuf struct strbuf text = STRBUF_INIT;
        struct error err = ERROR_INIT;

        assert_int_equal(io_read_file(AT_FDCWD, path, 1 << 20, &text, &err), 0);
        assert_string_equal(strbuf_text(&text), expected);
}

/* ---- order ---- */

static int note_name(void *context, struct hook_plan *plan, struct error *err)
{
        (void)err;
        strbuf_printf(context, "%s%s\n", plan->program ? "+" : "", plan->name);
        return 0;
}

/* No hook plans anything without a rootfs to look at; what counts is who is asked. */
static void test_order(void **state)
{
        static const struct {
                const char *path;
                mode_t mode;
        } files[] = {
                { "system/hooks.d/10-localtime.sh", 0755 }, /* replaces a built-in hook */
                { "system/hooks.d/10-shadow.sh", 0644 },    /* switches it off */
                { "user/hooks.d/10-shadow.sh", 0755 },      /* nothing left to replace */
                { "system/hooks.d/10-cgroups.sh", 0755 },
                { "user/hooks.d/10-aptfix.sh", 0755 }, /* replaces, in its place */
                { "user/hooks.d/10-devices.sh", 0644 },
                { "system/hooks.d/10-home.sh", 0755 },
                { "system/hooks.d/00-first.sh", 0755 },
                { "system/hooks.d/99-last.sh", 0755 },
                { "system/hooks.d/50-not.sh", 0644 },
                { "system/hooks.d/50-not", 0755 },
                { "user/hooks.d/00-first.sh", 0755 },
                { "user/hooks.d/50-mig-config.sh", 0755 },
                { "system/hooks.d/50-sharp.sh", 0644 },
                { "system/hooks.d/50-slurm-pmi.sh", 0644 },
                { "system/hooks.d/99-mellanox.sh", 0755 },
        };
        auto_strbuf struct strbuf names = STRBUF_INIT;
        struct hook_context context = { .config = &config, .environment = &environment };
        struct error err = ERROR_INIT;
        struct hooks *hooks;

        (void)state;
        for (size_t i = 0; i < ARRAY_SIZE(files); i++)
                write_file(files[i].path, "", files[i].mode);
        hooks = hooks_find(&config, NULL, &err);
        assert_non_null(hooks);
        assert_true(hooks_have_programs(hooks));
        assert_int_equal(hooks_for_each(hooks, &context, note_name, &names, &err), 0);
        assert_string_equal(names.data, "+system/hooks.d/00-first.sh\n"
                                        "+user/hooks.d/10-aptfix.sh\n"
                                        "+system/hooks.d/10-cgroups.sh\n"
                                        "+system/hooks.d/10-home.sh\n"
                                        "+system/hooks.d/10-localtime.sh\n"
                                        "+user/hooks.d/50-mig-config.sh\n"
                                        "50-slurm-pytorch.sh\n"
                                        "97-cdi.sh\n"
                                        "98-amd.sh\n"
                                        "98-nvidia.sh\n"
                                        "+system/hooks.d/99-last.sh\n"
                                        "+system/hooks.d/99-mellanox.sh\n"
                                        "+user/hooks.d/00-first.sh\n"
                                        "+user/hooks.d/10-shadow.sh\n");
        hooks_close(hooks);
}

static void test_no_programs(void **state)
{
        struct error err = ERROR_INIT;
        struct hooks *hooks;

        (void)state;
        config.sysconf_path = config.config_path = "/nonexistent";
        hooks = hooks_find(&config, NULL, &err);
        assert_non_null(hooks);
        assert_false(hooks_have_programs(hooks));
        hooks_close(hooks);
        hooks = hooks_find(&config, "/some/conf", &err);
        assert_non_null(hooks);
        assert_true(hooks_have_programs(hooks));
        hooks_close(hooks);
}

/* ---- running ---- */

/* Run a command of a shell. Returns its wait status. */
static int run_shell(const char *command)
{
        char *const argv[] = { (char *)"/bin/sh", (char *)"-c", (char *)command, NULL };
        auto_process struct process process = PROCESS_INIT;
        struct error err = ERROR_INIT;
        int status;

        assert_int_equal(process_start(&process, argv, config.environment.items, NULL, 0, &err), 0);
        assert_int_equal(process_wait(&process, -1, &status, &err), 0);
        return status;
}

static void test_process_status(void **state)
{
        struct error err = ERROR_INIT;

        (void)state;
        assert_int_equal(run_shell("exit 0"), 0);
        assert_int_equal(process_failed("P", run_shell("exit 7"), &err), -1);
        assert_string_equal(err.message, "P exited with return code 7");
        assert_int_equal(process_failed("P", run_shell("kill -9 $$"), &err), -1);
        assert_string_equal(err.message, "P exited with return code 137 (Killed)");
        /* The caller's SIGCHLD may be ignored, which would hide the status. */
        assert_true(signal(SIGCHLD, SIG_IGN) != SIG_ERR);
        assert_int_equal(WEXITSTATUS(run_shell("exit 3")), 3);
}

static void test_process_that_cannot_start(void **state)
{
        static const struct {
                const char *name, *says;
        } cases[] = {
                { "/no/such/program", "cannot execute /no/such/program" },
                { "no-such-program", "cannot execute no-such-program" },
                { "./script", "interpreter" },
                { "./data", "Permission denied" },
        };

        (void)state;
        write_file("script", "#!/no/such/shell\n", 0755);
        write_file("data", "x\n", 0644);
        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                char *const argv[] = { (char *)cases[i].name, NULL };
                auto_process struct process process = PROCESS_INIT;
                struct error err = ERROR_INIT;

                assert_int_equal(
                        process_start(&process, argv, config.environment.items, NULL, 0, &err), -1);
                assert_non_null(strstr(err.message, cases[i].says));
                assert_int_equal(process.pid, 0);
        }
}

/* Descriptors get where the program wants them, also when they are in each other's way. */
static void test_process_descriptors(void **state)
{
        char *const argv[] = { (char *)"bash", (char *)"-c",
                               (char *)"echo out; echo err >&2; echo three >&3", NULL };
        auto_process struct process process = PROCESS_INIT;
        struct error err = ERROR_INIT;
        int fds[3], status;

        (void)state;
        for (int i = 0; i < 3; i++) {
                char name[] = { (char)('a' + i), '\0' };

                fds[2 - i] = open(name, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
                assert_true(fds[2 - i] >= 0);
        }
        assert_int_equal(process_start(&process, argv, config.environment.items, fds, 3, &err), 0);
        assert_int_equal(process_wait(&process, -1, &status, &err), 0);
        for (int i = 0; i < 3; i++)
                assert_int_equal(close(fds[i]), 0);
        assert_int_equal(status, 0);
        assert_content("c", "out\n");
        assert_content("b", "err\n");
        assert_content("a", "three\n");
}

/* ---- exchange ---- */

static void open_exchange(void)
{
        struct error err = ERROR_INIT;

        assert_int_equal(exchange_open(&exchange, &config, scratch, "/the/root", 42, &err), 0);
}

static void test_variables(void **state)
{
        const struct strlist *variables = &exchange.variables;

        (void)state;
        open_exchange();
        assert_string_equal(env_get(variables, "ENROOT_PID"), "42");
        assert_string_equal(env_get(variables, "ENROOT_ROOTFS"), "/the/root");
        assert_string_equal(env_get(variables, "ENROOT_ENVIRON"), exchange.environ_path);
        assert_string_equal(env_get(variables, "ENROOT_MOUNTS"), exchange.mounts_path);
        assert_int_equal(strncmp(env_get(variables, "PATH"), "/usr/bin:/bin:/", 15), 0);
        assert_null(env_get(variables, "BASH_ENV"));
}

static void append(const char *path, const char *text)
{
        auto_close int fd = open(path, O_WRONLY | O_APPEND | O_CLOEXEC);

        assert_true(fd >= 0);
        assert_int_equal(io_write_full(fd, text, strlen(text)), 0);
}

static void test_exchange_environment(void **state)
{
        struct error err = ERROR_INIT;

        (void)state;
        open_exchange();
        assert_int_equal(env_set(&environment, "A", "\"quoted\""), 0);
        assert_int_equal(env_set(&environment, "LINES", "x\ny"), 0);
        assert_int_equal(exchange_write(&exchange, &environment, &mounts, &err), 0);
        assert_content(exchange.environ_path, "A=\"quoted\"\n");

        /* What is appended is read; what was there stays as it is. */
        append(exchange.environ_path, "B='b'\nENROOT_C=1\nC=${A}");
        assert_int_equal(exchange_read(&exchange, &environment, &mounts, "P", &err), 0);
        assert_string_equal(env_get(&environment, "A"), "\"quoted\"");
        assert_string_equal(env_get(&environment, "B"), "b");
        assert_string_equal(env_get(&environment, "C"), "${A}");
        assert_null(env_get(&environment, "ENROOT_C"));

        /* The next one finds complete lines. */
        assert_int_equal(exchange_write(&exchange, &environment, &mounts, &err), 0);
        assert_content(exchange.environ_path, "A=\"quoted\"\nB=b\nC=${A}\n");

        /* An edited file is what there is, but for what it could not show. */
        write_file(exchange.environ_path, "C=2\n", 0600);
        assert_int_equal(exchange_read(&exchange, &environment, &mounts, "P", &err), 0);
        assert_null(env_get(&environment, "A"));
        assert_string_equal(env_get(&environment, "C"), "2");
        assert_string_equal(env_get(&environment, "LINES"), "x\ny");
}

static void test_exchange_mounts(void **state)
{
        struct error err = ERROR_INIT;

        (void)state;
        open_exchange();
        assert_int_equal(mount_plan_add_line(&mounts, &err, "/a /b none bind"), 0);
        assert_int_equal(exchange_write(&exchange, &environment, &mounts, &err), 0);
        assert_content(exchange.mounts_path, "/a /b none bind 0 0\n");
        append(exchange.mounts_path, "# odd   text\n/c  /d none bind");
        assert_int_equal(exchange_read(&exchange, &environment, &mounts, "P", &err), 0);
        assert_int_equal(mounts.count, 2);
        assert_string_equal(mounts.entries[1].origin, "mounts of P:2");

        /* Lines of programs stay as they are, behind them what built-in hooks add. */
        assert_int_equal(mount_plan_add_line(&mounts, &err, "/e /f none bind"), 0);
        assert_int_equal(exchange_write(&exchange, &environment, &mounts, &err), 0);
        assert_content(
                exchange.mounts_path,
                "/a /b none bind 0 0\n# odd   text\n/c  /d none bind\n/e /f none bind 0 0\n");

        write_file(exchange.mounts_path, "/c /d none bind\n", 0600);
        assert_int_equal(exchange_read(&exchange, &environment, &mounts, "Q", &err), 0);
        assert_int_equal(mounts.count, 1);
        append(exchange.mounts_path, "/x /y none bogus\n");
        assert_int_equal(exchange_read(&exchange, &environment, &mounts, "R", &err), -1);
        assert_non_null(strstr(err.message, "mounts of R:1: "));

        mount_plan_release(&mounts);
        assert_int_equal(exchange_clear_mounts(&exchange, &err), 0);
        assert_content(exchange.mounts_path, "");
        assert_int_equal(unlink(exchange.mounts_path), 0);
        assert_int_equal(exchange_read(&exchange, &environment, &mounts, "S", &err), -1);
        assert_non_null(strstr(err.message, "S"));
}

/* ---- pure parts ---- */

static void test_first_host(void **state)
{
        static const struct {
                const char *list, *host;
        } cases[] = {
                { "node1", "node1" },
                { "node1,node2", "node1" },
                { "node[1-4]", "node1" },
                { "node[007,9-12]-ib,other", "node007-ib" },
                { "rack[1-2]node[3,5],x", "rack1node3" },
                { "[3-4]", "3" },
                { "node[", "node" },
                { "node[1", "node1" },
                { "node[]x", "nodex" },
                { "", "" },
        };

        (void)state;
        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                auto_free char *host = slurm_first_host(cases[i].list);

                assert_non_null(host);
                assert_string_equal(host, cases[i].host);
        }
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int main(void)
{
        const struct CMUnitTest tests[] = {
                TEST(test_order),
                TEST(test_no_programs),
                TEST(test_process_status),
                TEST(test_process_that_cannot_start),
                TEST(test_process_descriptors),
                TEST(test_variables),
                TEST(test_exchange_environment),
                TEST(test_exchange_mounts),
                TEST(test_first_host),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
