/* cli/options: one table parses and prints. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "cli/options.h"

static struct {
        bool force;
        const char *name;
        struct strlist env;
} values;

static const struct option table[] = {
        { 'f', "force", NULL, "Overwrite", OPTION_FLAG, &values.force },
        { 'n', "name", "NAME", "The name", OPTION_TEXT, &values.name },
        { 0, "env", "KEY", "A variable", OPTION_LIST, &values.env },
        { 'h', "help", NULL, "Help", OPTION_HELP, NULL },
        { 0, NULL, NULL, NULL, OPTION_FLAG, NULL },
};

static int reset(void **state)
{
        (void)state;
        strlist_release(&values.env);
        memset(&values, 0, sizeof(values));
        return 0;
}

#define PARSE(rest, err, ...)                                                                      \
        ({                                                                                         \
                const char *words[] = { __VA_ARGS__ };                                             \
                option_table_parse(table, (int)ARRAY_SIZE(words), (char **)words, rest, err);      \
        })

static void test_forms(void **state)
{
        struct error err = ERROR_INIT;
        int rest = 0;

        (void)state;
        assert_int_equal(PARSE(&rest, &err, "-f", "--name=one", "--env", "A=1", "--env=B", "-n",
                               "two", "IMAGE", "-f"),
                         0);
        assert_int_equal(rest, 7);
        assert_true(values.force);
        assert_string_equal(values.name, "two");
        assert_int_equal(values.env.count, 2);
        assert_string_equal(values.env.items[1], "B");
}

static void test_end_of_options(void **state)
{
        struct error err = ERROR_INIT;
        int rest = 0;

        (void)state;
        assert_int_equal(PARSE(&rest, &err, "-f", "--", "-n"), 0);
        assert_int_equal(rest, 2);
        assert_int_equal(PARSE(&rest, &err, "-", "-f"), 0);
        assert_int_equal(rest, 0);
}

static void test_help(void **state)
{
        struct error err = ERROR_INIT;
        int rest = 0;

        (void)state;
        assert_int_equal(PARSE(&rest, &err, "-h"), 1);
        assert_int_equal(PARSE(&rest, &err, "-f", "--help"), 1);
}

static void test_bad_words(void **state)
{
        struct error err = ERROR_INIT;
        int rest = 0;

        (void)state;
        assert_int_equal(PARSE(&rest, &err, "--unknown"), -1);
        assert_string_equal(err.message, "unknown option: --unknown");
        assert_int_equal(PARSE(&rest, &err, "-x"), -1);
        assert_int_equal(PARSE(&rest, &err, "-fn"), -1);
        assert_int_equal(PARSE(&rest, &err, "--force=yes"), -1);
        assert_int_equal(PARSE(&rest, &err, "--name"), -1);
        assert_int_equal(PARSE(&rest, &err, "--name="), -1);
        assert_int_equal(PARSE(&rest, &err, "--name", ""), -1);
}

static void test_print(void **state)
{
        auto_free char *text = NULL;
        size_t size = 0;
        FILE *out = open_memstream(&text, &size);

        (void)state;
        assert_non_null(out);
        option_table_print(table, out);
        fclose(out);
        assert_string_equal(text, "\n Options:\n"
                                  "   -f, --force      Overwrite\n"
                                  "   -n, --name NAME  The name\n"
                                  "       --env KEY    A variable\n"
                                  "   -h, --help       Help\n");
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup(test_forms, reset),
                cmocka_unit_test_setup(test_end_of_options, reset),
                cmocka_unit_test_setup(test_help, reset),
                cmocka_unit_test_setup(test_bad_words, reset),
                cmocka_unit_test_setup_teardown(test_print, reset, reset),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
