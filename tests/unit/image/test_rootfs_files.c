/*
 * image/: the files written at import. /etc/rc is run by the host's /bin/sh here,
 * because what counts is what a shell makes of it.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "image/image.h"
#include "util/io.h"

static void parse(const char *text, struct image_config *config)
{
        struct error err = ERROR_INIT;

        if (image_config_parse(text, strlen(text), config, &err) < 0)
                fail_msg("%s: %s", text, err.message);
}

/* The standard output of sh SCRIPT ARG…, arg being NULL for none. */
static void run_sh(const char *script, const char *arg, struct strbuf *output)
{
        auto_close int write_end = -1;
        auto_close int read_end = -1;
        struct error err = ERROR_INIT;
        int ends[2], status;
        pid_t pid;

        assert_int_equal(pipe(ends), 0);
        read_end = ends[0];
        write_end = ends[1];
        pid = fork();
        assert_true(pid >= 0);
        if (pid == 0) {
                (void)dup2(write_end, STDOUT_FILENO);
                execl("/bin/sh", "sh", "-c", script, "sh", arg, (char *)NULL);
                _exit(127);
        }
        (void)close(TAKE_FD(write_end));
        assert_int_equal(io_read_fd(read_end, "sh", 65536, output, &err), 0);
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_int_equal(status, 0);
}

static void test_rc_text(void **state)
{
        auto_image_config struct image_config config = { .os = NULL };
        auto_strbuf struct strbuf text = STRBUF_INIT;
        struct error err = ERROR_INIT;

        (void)state;
        parse("{\"config\":{\"Entrypoint\":[\"/e\"],\"Cmd\":[\"a b\"],\"WorkingDir\":\"/it's\","
              "\"Labels\":{\"maintainer\":\"me\"}}}",
              &config);
        assert_int_equal(image_write_rc(&config, "docker://h#a:b", &text, &err), 0);
        assert_string_equal(text.data, "# enroot-provenance: docker://h#a:b\n"
                                       "# maintainer me\n"
                                       "\n"
                                       "[ -d '/it'\\''s' ] || mkdir -p '/it'\\''s' 2> /dev/null\n"
                                       "cd '/it'\\''s' && unset OLDPWD || exit 1\n"
                                       "\n"
                                       "if [ -s /etc/rc.local ]; then\n"
                                       "    . /etc/rc.local\n"
                                       "fi\n"
                                       "\n"
                                       "if [ $# -gt 0 ]; then\n"
                                       "    exec '/e' \"$@\"\n"
                                       "else\n"
                                       "    exec '/e' 'a b'\n"
                                       "fi\n");
}

static void test_rc_runs(void **state)
{
        static const struct {
                const char *config, *arg, *output;
        } cases[] = {
                { "{\"config\":{\"Entrypoint\":[\"printf\",\"<%s>\"],\"Cmd\":[\"a b\",\"it's\"]}}",
                  NULL, "<a b><it's>" },
                { "{\"config\":{\"Entrypoint\":[\"printf\",\"<%s>\"],\"Cmd\":[\"a b\"]}}", "c d",
                  "<c d>" },
                { "{\"config\":{\"Cmd\":[\"printf\",\"%s\",\"$(id)`id`\\n\\\\\\\"$HOME\"]}}", NULL,
                  "$(id)`id`\n\\\"$HOME" },
                { "{\"config\":{\"Cmd\":[\"false\"]}}", "pwd", "/\n" },
                { "{\"config\":{\"Cmd\":[\"pwd\"],\"WorkingDir\":\"/tmp\"}}", NULL, "/tmp\n" },
                { "{\"config\":{\"Cmd\":[\"pwd\"],\"WorkingDir\":\"tmp\"}}", NULL, "/tmp\n" },
                /* Labels cannot leave their comments, a backslash at the end continues none. */
                { "{\"config\":{\"Cmd\":[\"echo\",\"ok\"],\"Labels\":{\"a\\necho key\":\"b\\necho "
                  "value\\r\\necho more\\\\\"}}}",
                  NULL, "ok\n" },
        };

        (void)state;
        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                auto_image_config struct image_config config = { .os = NULL };
                auto_strbuf struct strbuf text = STRBUF_INIT, output = STRBUF_INIT;
                struct error err = ERROR_INIT;

                parse(cases[i].config, &config);
                assert_int_equal(image_write_rc(&config, "docker://x\necho y", &text, &err), 0);
                run_sh(text.data, cases[i].arg, &output);
                assert_string_equal(strbuf_text(&output), cases[i].output);
        }
}

static void test_rc_default_is_a_shell(void **state)
{
        auto_image_config struct image_config config = { .os = NULL };
        auto_strbuf struct strbuf text = STRBUF_INIT;
        struct error err = ERROR_INIT;

        (void)state;
        parse("{}", &config);
        assert_int_equal(image_write_rc(&config, NULL, &text, &err), 0);
        assert_non_null(strstr(text.data, "    exec \"$@\"\nelse\n    exec /bin/sh\nfi\n"));
        assert_null(strstr(text.data, "provenance"));
        assert_non_null(strstr(text.data, "cd '/' "));
}

static void test_rc_local(void **state)
{
        auto_strbuf struct strbuf text = STRBUF_INIT;
        struct error err = ERROR_INIT;

        (void)state;
        assert_int_equal(image_write_rc_local(&text, &err), 0);
        for (const char *line = text.data; *line; line = strchr(line, '\n') + 1)
                assert_int_equal(*line, '#');
}

static void test_fstab(void **state)
{
        auto_image_config struct image_config config = { .os = NULL };
        auto_strbuf struct strbuf text = STRBUF_INIT;
        struct error err = ERROR_INIT;

        (void)state;
        parse("{\"config\":{\"Volumes\":{\"/data\":{},\"/data/\":{},\"/\":{},\"\":{},"
              "\"/a b\":{},\"../../etc\":{},\"/x\\n/etc /etc none bind\":{},\"/${HOME}\\\\\":{},"
              "\"/\xc3\xa9\":{}}}}",
              &config);
        assert_int_equal(image_write_fstab(&config, &text, &err), 0);
#define OPTIONS " none x-create=dir,bind,rw,nosuid,nodev\n"
        assert_string_equal(text.data, "${ENROOT_ROOTFS}/\\044{HOME}\\134 /\\044{HOME}\\134" OPTIONS
                                       "${ENROOT_ROOTFS}/a\\040b /a\\040b" OPTIONS
                                       "${ENROOT_ROOTFS}/data /data" OPTIONS
                                       "${ENROOT_ROOTFS}/etc /etc" OPTIONS
                                       "${ENROOT_ROOTFS}/x\\012/etc\\040/etc\\040none\\040bind "
                                       "/x\\012/etc\\040/etc\\040none\\040bind" OPTIONS
                                       "${ENROOT_ROOTFS}/\xc3\xa9 /\xc3\xa9" OPTIONS);
}

static void test_fstab_refuses_long_names(void **state)
{
        auto_image_config struct image_config config = { .os = NULL };
        auto_strbuf struct strbuf text = STRBUF_INIT;
        struct error err = ERROR_INIT;
        char name[400];

        (void)state;
        memset(name, 'a', sizeof(name) - 1);
        name[sizeof(name) - 1] = '\0';
        assert_int_equal(strlist_append(&config.volumes, name), 0);
        assert_int_equal(image_write_fstab(&config, &text, &err), -1);
        assert_int_equal(err.code, EINVAL);
}

static void test_environment(void **state)
{
        auto_image_config struct image_config config = { .os = NULL };
        auto_strbuf struct strbuf text = STRBUF_INIT;
        struct error err = ERROR_INIT;

        (void)state;
        parse("{\"config\":{\"Env\":[\"A=b c\",\"B=1\\nLD_PRELOAD=/x\\r\\n\",\"C=\\\"q\\\"\"]}}",
              &config);
        assert_int_equal(image_write_environment(&config, &text, &err), 0);
        assert_string_equal(text.data, "A=b c\nB=1 LD_PRELOAD=/x  \nC=\"q\"\n");
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_rc_text),
                cmocka_unit_test(test_rc_runs),
                cmocka_unit_test(test_rc_default_is_a_shell),
                cmocka_unit_test(test_rc_local),
                cmocka_unit_test(test_fstab),
                cmocka_unit_test(test_fstab_refuses_long_names),
                cmocka_unit_test(test_environment),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
