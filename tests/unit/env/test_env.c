/* env/: lists of variables, environment files, --env words. */
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

#include <cmocka.h>

#include "env/env.h"
#include "util/io.h"
#include "util/path.h"

static void fill(struct strlist *env, const char *const *items)
{
        for (; *items; items++)
                assert_int_equal(strlist_append(env, *items), 0);
}

static void assert_list(const struct strlist *env, const char *const *expected)
{
        size_t count = 0;

        for (; expected[count]; count++) {
                assert_true(count < env->count);
                assert_string_equal(env->items[count], expected[count]);
        }
        assert_int_equal(env->count, count);
}

#define LIST(...) ((const char *const[]){ __VA_ARGS__, NULL })

static void test_get_set_unset(void **state)
{
        auto_strlist struct strlist env = STRLIST_INIT;

        (void)state;
        fill(&env, LIST("A=1", "AB=2", "A=3", "odd", "E="));
        assert_string_equal(env_get(&env, "A"), "3");
        assert_string_equal(env_get(&env, "AB"), "2");
        assert_string_equal(env_get(&env, "E"), "");
        assert_null(env_get(&env, "odd"));
        assert_null(env_get(&env, "B"));

        assert_int_equal(env_set(&env, "A", "x=y"), 0);
        assert_string_equal(env_get(&env, "A"), "x=y");
        assert_int_equal(env_set(&env, "N", ""), 0);
        assert_string_equal(env_get(&env, "N"), "");
        assert_int_equal(env_unset(&env, "A"), 0);
        assert_null(env_get(&env, "A"));
        assert_list(&env, LIST("AB=2", "odd", "E=", "N="));
}

static void test_names(void **state)
{
        (void)state;
        assert_true(env_name_valid("_a9", 3));
        assert_true(env_name_valid("A", 1));
        assert_false(env_name_valid("", 0));
        assert_false(env_name_valid("9a", 2));
        assert_false(env_name_valid("a-b", 3));
        assert_false(env_name_valid("a\0b", 3));
        assert_false(env_name_valid("\xc3\xa9", 2));
}

static void test_substitute(void **state)
{
        static const struct {
                const char *text, *expected;
        } cases[] = {
                { "", "" },
                { "${A}", "1" },
                { "x${A}y${B}z", "x1y${A}z" }, /* what is put in is not looked at again */
                { "${MISSING}", "" },
                { "$A ${} ${9} ${A ${A", "$A ${} ${9} ${A ${A" },
                { "${A:-x}", "${A:-x}" },
                { "$${A}", "$1" },
                { "$", "$" },
                { "${", "${" },
        };
        auto_strlist struct strlist env = STRLIST_INIT;

        (void)state;
        fill(&env, LIST("A=1", "B=${A}"));
        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                auto_free char *result = env_substitute(cases[i].text, strlen(cases[i].text), &env);

                assert_non_null(result);
                assert_string_equal(result, cases[i].expected);
        }
}

static void test_text(void **state)
{
        static const char text[] = "# comment\n"
                                   "\n"
                                   "A=1\n"
                                   " \tB=two words \n"
                                   "C=\"quoted\" \n"
                                   "D='q\"q'\n"
                                   "E=\"open\n"
                                   "F=\"\n"
                                   "G=\"a\" and \"b\"\n"
                                   "H=\n"
                                   "ENROOT_X=1\n"
                                   "malformed\n"
                                   "9=1\n"
                                   "a.b=1\n"
                                   "=x\n"
                                   "I=${HOST}\n"
                                   "J=\"${QUOTED}\"\n"
                                   "K=${LINES}\n"
                                   "NUL=\0x\n"
                                   "A=last";
        auto_strlist struct strlist env = STRLIST_INIT, host = STRLIST_INIT;
        struct error err = ERROR_INIT;

        (void)state;
        fill(&env, LIST("Z=0"));
        fill(&host, LIST("HOST=h", "QUOTED='q'", "LINES=x\nENROOT_Y=1\nL=2"));
        assert_int_equal(env_add_text(&env, text, sizeof(text) - 1, &host, &err), 0);
        assert_list(&env,
                    LIST("Z=0", "A=last", "B=two words ", "C=quoted", "D=q\"q", "E=\"open", "F=\"",
                         "G=a\" and \"b", "H=", "I=h", "J='q'", "K=x\nENROOT_Y=1\nL=2"));
        assert_int_equal(env_add_text(&env, "A=\"${HOST}\"", 11, NULL, &err), 0);
        assert_string_equal(env_get(&env, "A"), "${HOST}");
}

static void test_too_many_variables(void **state)
{
        auto_strbuf struct strbuf text = STRBUF_INIT;
        auto_strlist struct strlist env = STRLIST_INIT;
        struct error err = ERROR_INIT;

        (void)state;
        for (unsigned int i = 0; i <= ENV_VARIABLE_LIMIT; i++)
                strbuf_printf(&text, "A%u=\n", i);
        assert_int_equal(env_add_text(&env, text.data, text.length, &env, &err), -1);
        assert_int_equal(err.code, E2BIG);
}

static void test_word(void **state)
{
        static const char *const refused[] = { "", "=", "=a", "9=1", "a b", "a-b=c", "a.b" };
        auto_strlist struct strlist env = STRLIST_INIT, host = STRLIST_INIT;
        struct error err = ERROR_INIT;

        (void)state;
        fill(&host, LIST("FROM_HOST=h"));
        assert_int_equal(env_add_word(&env, "A=\"b\"=${FROM_HOST}\nc", &host, &err), 0);
        assert_int_equal(env_add_word(&env, "FROM_HOST", &host, &err), 0);
        assert_int_equal(env_add_word(&env, "MISSING", &host, &err), 0);
        assert_int_equal(env_add_word(&env, "EMPTY=", &host, &err), 0);
        assert_int_equal(env_add_word(&env, "ENROOT_ROOTFS=/", &host, &err), 0);
        assert_list(&env, LIST("A=\"b\"=${FROM_HOST}\nc", "FROM_HOST=h", "MISSING=", "EMPTY="));
        for (size_t i = 0; i < ARRAY_SIZE(refused); i++) {
                assert_int_equal(env_add_word(&env, refused[i], &host, &err), -1);
                assert_int_equal(err.code, EINVAL);
        }
}

static void write_file(const char *dir, const char *name, const char *text)
{
        auto_free char *path = path_join(dir, name);
        auto_close int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

        assert_true(fd >= 0);
        assert_int_equal(io_write_full(fd, text, strlen(text)), 0);
}

static void test_dir(void **state)
{
        char dir[] = "/tmp/enroot-test-env-XXXXXX";
        auto_strlist struct strlist env = STRLIST_INIT;
        struct error err = ERROR_INIT;
        auto_free char *sub = NULL, *dangling = NULL;

        (void)state;
        assert_non_null(mkdtemp(dir));
        write_file(dir, "20-b.env", "A=20\n");
        write_file(dir, "10-a.env", "A=10\nB=10\n");
        write_file(dir, ".env", "C=1\n");
        write_file(dir, ".hidden.env", "C=1\n");
        write_file(dir, "other.txt", "C=1\n");
        sub = path_join(dir, "sub.env");
        dangling = path_join(dir, "dangling.env");
        assert_int_equal(mkdir(sub, 0700), 0);
        assert_int_equal(symlink("missing", dangling), 0);

        assert_int_equal(env_add_dir(&env, dir, &env, &err), 0);
        assert_list(&env, LIST("A=20", "B=10"));
        assert_int_equal(path_remove_tree(AT_FDCWD, dir, &err), 0);
        assert_int_equal(env_add_dir(&env, dir, &env, &err), 0);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_get_set_unset),
                cmocka_unit_test(test_names),
                cmocka_unit_test(test_substitute),
                cmocka_unit_test(test_text),
                cmocka_unit_test(test_too_many_variables),
                cmocka_unit_test(test_word),
                cmocka_unit_test(test_dir),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
