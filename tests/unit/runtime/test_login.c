/* runtime/login.c: which program is executed, and with which environment. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "env/env.h"
#include "image/image.h"
#include "runtime/container.h"
#include "util/io.h"
#include "util/path.h"

static char scratch[] = "/tmp/enroot-test-login-XXXXXX";
static unsigned int warnings;

static void count_warning(struct report *report, enum report_level level, const char *text)
{
        (void)report;
        (void)level;
        (void)text;
        warnings++;
}

static struct report report = { .message = count_warning };
static struct config configuration;
static struct runtime_start start;
static struct container container;

static int set_up(void **state)
{
        (void)state;
        strcpy(scratch + strlen(scratch) - 6, "XXXXXX");
        if (!mkdtemp(scratch) || chdir(scratch) < 0 || mkdir("etc", 0755) < 0 ||
            mkdir("bin", 0755) < 0)
                return -1;
        configuration = (struct config){ .login_shell = true };
        start = (struct runtime_start){ .rootfs = scratch };
        container = (struct container){
                .start = &start,
                .config = &configuration,
                .report = &report,
                .identity = { .uid = 7, .uid_outside = 7, .gid = 7, .gid_outside = 7 },
                .root = { .fd = open(".", O_PATH | O_DIRECTORY | O_CLOEXEC), .path = scratch },
                .rc_fd = -1,
        };
        container.view = root_view_directory(container.root.fd);
        warnings = 0;
        return container.root.fd < 0 ? -1 : 0;
}

static int tear_down(void **state)
{
        struct error err = ERROR_INIT;

        (void)state;
        (void)close(container.root.fd);
        strlist_release(&container.environment);
        return chdir("/") < 0 ? -1 : path_remove_tree(AT_FDCWD, scratch, &err);
}

static void write_file(const char *path, const char *text, mode_t mode)
{
        auto_close int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

        assert_true(fd >= 0);
        assert_int_equal(io_write_full(fd, text, strlen(text)), 0);
        assert_int_equal(fchmod(fd, mode), 0);
}

static void test_program(void **state)
{
        enum { SH = 1, BASH = 2, TCSH = 4, RC = 8, RC_OPTION = 16, NO_LOGIN = 32 };
        static const struct {
                int has;
                const char *command[3], *program, *argv[6];
        } cases[] = {
                { SH | RC, { "a b", "c" }, "/bin/sh", { "-sh", "/etc/rc", "a b", "c" } },
                { SH | RC, { NULL }, "/bin/sh", { "-sh", "/etc/rc" } },
                { SH | RC | BASH, { "x" }, "/bin/bash", { "-bash", "/etc/rc", "x" } },
                { SH | RC | TCSH, { "x" }, "/bin/sh", { "-sh", "/etc/rc", "x" } },
                { SH | RC | RC_OPTION, { "x" }, "/bin/sh", { "-sh", "/proc/self/fd/3", "x" } },
                { SH | RC | NO_LOGIN, { "x" }, "/bin/sh", { "sh", "/etc/rc", "x" } },
                { SH, { "ls", "-l" }, NULL, { "ls", "-l" } },
                { SH, { "ls -l", "y" }, "/bin/sh", { "-sh", "-c", "ls -l", "sh", "y" } },
                { SH | TCSH, { NULL }, "/bin/tcsh", { "-tcsh" } },
                { 0, { "/app" }, NULL, { "/app" } },
                { RC, { "/app", "x" }, NULL, { "/app", "x" } },
        };

        (void)state;
        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                auto_login struct login login = LOGIN_INIT;
                struct error err = ERROR_INIT;
                int has = cases[i].has;
                size_t n = 0;

                assert_int_equal(tear_down(NULL), 0);
                container.environment = (struct strlist)STRLIST_INIT;
                assert_int_equal(set_up(NULL), 0);
                write_file("etc/passwd",
                           has & BASH   ? "u:x:7:7::/h:/bin/bash\n"
                           : has & TCSH ? "u:x:7:7::/h:/bin/tcsh\n"
                                        : "u:x:7:7::/h:/bin/none\n",
                           0644);
                if (has & SH)
                        write_file("bin/sh", "", 0755);
                if (has & BASH)
                        write_file("bin/bash", "", 0755);
                if (has & TCSH)
                        write_file("bin/tcsh", "", 0755);
                if (has & RC)
                        write_file("etc/rc", "", 0644);
                container.rc_fd = has & RC_OPTION ? 100 : -1;
                configuration.login_shell = !(has & NO_LOGIN);
                start.command = (char *const *)cases[i].command;

                assert_int_equal(login_prepare(&login, &container, &err), 0);
                if (cases[i].program)
                        assert_string_equal(login.program, cases[i].program);
                else
                        assert_null(login.program);
                for (; cases[i].argv[n]; n++)
                        assert_string_equal(login.argv[n], cases[i].argv[n]);
                assert_null(login.argv[n]);
        }
        assert_int_equal(warnings, 1); /* of the last: /etc/rc without a shell */
}

/* Without a shell, what the import recorded takes the place of /etc/rc. */
static void test_recorded_program(void **state)
{
        static const struct {
                const char *config;                          /* NULL: no record */
                const char *command[3], *argv[5],
                        *work_dir; /* or, without argv, a word of the error */
        } cases[] = {
                { "{\"Entrypoint\":[\"/app\",\"-x\"],\"Cmd\":[\"a b\"],\"WorkingDir\":\"/srv\"}",
                  { NULL },
                  { "/app", "-x", "a b" },
                  "/srv" },
                { "{\"Entrypoint\":[\"/app\",\"-x\"],\"Cmd\":[\"a b\"]}",
                  { "$y", "z" },
                  { "/app", "-x", "$y", "z" },
                  NULL },
                { "{\"Cmd\":[\"tool\"],\"WorkingDir\":\"rel\"}", { NULL }, { "tool" }, "/rel" },
                { "{\"Cmd\":[\"tool\"]}", { "/other" }, { "/other" }, NULL },
                { "{}", { "/other" }, { "/other" }, NULL },
                { "{}", { NULL }, { NULL }, "give the path" },
                { NULL, { NULL }, { NULL }, "give the path" },
                { "[]", { NULL }, { NULL }, "enroot-image.json" },
        };

        (void)state;
        write_file("etc/rc", "", 0755);
        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                auto_login struct login login = LOGIN_INIT;
                auto_strbuf struct strbuf text = STRBUF_INIT;
                struct error err = ERROR_INIT;
                size_t n = 0;

                (void)unlink(IMAGE_RECORD_PATH);
                strbuf_printf(&text,
                              "{\"version\":1,\"provenance\":\"docker://"
                              "x\",\"layers\":[],\"config\":{\"config\":%s}}",
                              cases[i].config ? cases[i].config : "");
                if (cases[i].config)
                        write_file(IMAGE_RECORD_PATH, strbuf_text(&text), 0644);
                start.command = (char *const *)cases[i].command;
                if (!cases[i].argv[0]) {
                        assert_int_equal(login_prepare(&login, &container, &err), -1);
                        assert_non_null(strstr(err.message, cases[i].work_dir));
                        continue;
                }
                if (login_prepare(&login, &container, &err) < 0)
                        fail_msg("%zu: %s", i, err.message);
                for (; cases[i].argv[n]; n++)
                        assert_string_equal(login.argv[n], cases[i].argv[n]);
                assert_null(login.argv[n]);
                assert_null(login.program);
                if (cases[i].work_dir)
                        assert_string_equal(login.work_dir, cases[i].work_dir);
                else
                        assert_null(login.work_dir);
        }
        assert_int_equal(warnings, 0);
}

static void test_no_shell(void **state)
{
        auto_login struct login login = LOGIN_INIT;
        struct error err = ERROR_INIT;
        char *const nothing[] = { NULL };

        (void)state;
        start.command = nothing;
        assert_int_equal(login_prepare(&login, &container, &err), -1);
        assert_int_equal(err.code, ENOENT);
}

static void test_session(void **state)
{
        static const struct {
                const char *name, *expected;
        } cases[] = {
                { "HOME", "/home/u" },     { "SHELL", "/bin/sh" }, { "USER", "u" },
                { "LOGNAME", "outer" },    { "PATH", "/a:/b" },    { "TERM", "dumb" },
                { "LANG", "from image" },  { "LC_TIME", "C" },     { "TZ", "Mars/Crater" },
                { "MAIL", "/var/mail/u" }, { "EVIL", NULL },
        };
        auto_login struct login login = LOGIN_INIT;
        struct error err = ERROR_INIT;
        char *const nothing[] = { NULL };

        (void)state;
        container.identity.uid_outside = 8;
        start.command = nothing;
        write_file("bin/sh", "", 0755);
        write_file("etc/passwd", "u:x:7:7::/home/u:/bin/sh\nouter:x:8:8:::\n", 0644);
        write_file("etc/group", "u:x:7:\n", 0644);
        write_file("etc/zone", "TZ=Mars/Crater\nrest\n", 0644);
        write_file("etc/locale.conf", "LANG=de_DE\nLC_TIME=\"C\"\nEVIL=1\n", 0644);
        write_file("etc/login.defs",
                   "UMASK 022\nUSERGROUPS_ENAB yes\nULIMIT 4\nENV_PATH PATH=/a:/b\n"
                   "ENV_SUPATH PATH=/root\nENV_TZ /etc/zone\nMAIL_CHECK_ENAB yes\n",
                   0644);
        assert_int_equal(env_set(&container.environment, "LANG", "from image"), 0);
        assert_int_equal(login_prepare(&login, &container, &err), 0);
        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                const char *value = env_get(&login.environment, cases[i].name);

                if (cases[i].expected)
                        assert_string_equal(value, cases[i].expected);
                else
                        assert_null(value);
        }
        assert_string_equal(login.home, "/home/u");
        assert_true(login.has_umask);
        assert_int_equal(login.umask, 002);
        assert_true(login.has_file_limit);
        assert_int_equal(login.file_limit, 2048);
}

/* Settings that are no settings change nothing. */
static void test_bad_settings(void **state)
{
        static const char *const bad[] = { "UMASK 999999999\nULIMIT -2\n", "UMASK x\nULIMIT 1x\n",
                                           "UMASK\nULIMIT\n",
                                           "UMASK -1\nULIMIT 99999999999999999999\n" };

        (void)state;
        write_file("bin/sh", "", 0755);
        for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
                auto_login struct login login = LOGIN_INIT;
                struct error err = ERROR_INIT;
                char *const nothing[] = { NULL };

                start.command = nothing;
                write_file("etc/login.defs", bad[i], 0644);
                assert_int_equal(login_prepare(&login, &container, &err), 0);
                assert_false(login.has_umask);
                assert_false(login.has_file_limit);
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(test_program, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_recorded_program, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_no_shell, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_session, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_bad_settings, set_up, tear_down),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
