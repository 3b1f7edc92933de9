/* registry/program.h: programs that are given too much time, or none. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "registry/program.h"

static int run(const char *script, const char *input, long timeout, struct strbuf *output,
               struct error *err)
{
        const char *const argv[] = { "sh", "-c", script, NULL };
        const struct program program = {
                .argv = argv, .input = input, .timeout = timeout, .output_limit = 1000
        };

        *err = (struct error)ERROR_INIT;
        strbuf_reset(output);
        return program_run(&program, output, err);
}

static void test_run(void **state)
{
        auto_strbuf struct strbuf output = STRBUF_INIT;
        struct error err;

        (void)state;
        assert_int_equal(run("cat; echo more", "input", 10, &output, &err), 0);
        assert_string_equal(output.data, "inputmore\n");
        assert_int_equal(run("exit 3", NULL, 0, &output, &err), 3);
        assert_int_equal(run("kill -9 $$", NULL, 0, &output, &err), 128);
        assert_int_equal(run("env", NULL, 0, &output, &err), 0);
        assert_null(strstr(output.data, "HOME="));
}

static void test_limits(void **state)
{
        auto_strbuf struct strbuf output = STRBUF_INIT;
        struct error err;

        (void)state;
        assert_int_equal(run("echo x; exec sleep 100", NULL, 1, &output, &err), -1);
        assert_int_equal(err.code, ETIMEDOUT);
        assert_int_equal(run("exec sleep 100 >&-", NULL, 1, &output, &err), -1);
        assert_int_equal(err.code, ETIMEDOUT);
        assert_int_equal(run("head -c 5000 /dev/zero", NULL, 10, &output, &err), -1);
        assert_int_equal(err.code, EFBIG);
}

static void test_no_program(void **state)
{
        const char *const argv[] = { "docker-credential-nowhere", "get", NULL };
        const struct program program = { .argv = argv, .output_limit = 1000 };
        auto_strbuf struct strbuf output = STRBUF_INIT;
        struct error err = ERROR_INIT;

        (void)state;
        assert_int_equal(program_run(&program, &output, &err), -1);
        assert_int_equal(err.code, ENOENT);
        assert_non_null(strstr(err.message, "docker-credential-nowhere"));
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_run),
                cmocka_unit_test(test_limits),
                cmocka_unit_test(test_no_program),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
