/* runtime/proc_text.c: what /proc/PID says, hostile names included. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "runtime/proc_text.h"
#include "util/cleanup.h"

#define AFTER_COMM " S 1 42 41 34816 43 4194304 1 2 3 4 5 6 7 8 20 -5 3 0 987654321 1000 10\n"

static void test_stat(void **state)
{
        static const char *const names[] = { "sh", "a b", "x) R 1 1 1 1 (", ")", "", "new\nline" };
        struct proc_stat stat;

        (void)state;
        for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
                char text[256];

                (void)snprintf(text, sizeof(text), "42 (%s)" AFTER_COMM, names[i]);
                assert_true(proc_stat_parse(text, &stat));
                assert_string_equal(stat.comm, names[i]);
                assert_int_equal(stat.state, 'S');
                assert_int_equal(stat.parent, 1);
                assert_int_equal(stat.group, 42);
                assert_int_equal(stat.session, 41);
                assert_int_equal(stat.foreground, 43);
                assert_int_equal(stat.nice, -5);
                assert_int_equal(stat.threads, 3);
                assert_int_equal(stat.start, 987654321);
        }
}

static void test_bad_stat(void **state)
{
        static const char *const texts[] = {
                "",
                "42",
                ")(",
                "42 (sh)",
                "42 (sh) S 1 2",
                "42 (sh)S 1 42 41 34816 43 4194304 1 2 3 4 5 6 7 8 20",
                "42 (a name that is longer than any that a kernel thread may ever have, "
                "64)" AFTER_COMM,
        };
        struct proc_stat stat;

        (void)state;
        for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
                assert_false(proc_stat_parse(texts[i], &stat));
}

static void test_root_source(void **state)
{
        static const struct {
                const char *text, *expected;
        } cases[] = {
                { "", NULL },
                { "1 2 0:3 / /proc rw - proc proc rw\n", NULL },
                { "1 2 0:3 / / rw - overlay enroot:/x rw\n", "enroot:/x" },
                { "1 2 0:3 / / rw master:1 shared:2 - overlay src rw", "src" },
                { "1 2 0:3 / / rw - overlay a\\040b\\134\\012 rw\n", "a b\\\n" },
                { "1 2 0:3 / / rw - overlay bad\\9\\04 rw\n", "bad\\9\\04" },
                /* The last one is on top; a mount below the root is not the root. */
                { "1 2 0:3 / / rw - a one rw\n2 1 0:4 / / rw - b two rw\n"
                  "3 2 0:5 / /x rw - c three rw\n",
                  "two" },
                /* A source named as the separator is the next field. */
                { "1 2 0:3 / / rw - - - rw\n", "-" },
                { "1 2 0:3 / / rw master:1\n", NULL },
                { "1 2 0:3 / / rw -", NULL },
                { "1 2 0:3 / / rw - overlay", NULL },
                { "1 2 0:3 /\n/ / rw - overlay x rw\n", NULL },
        };

        (void)state;
        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                auto_free char *source = proc_root_source(cases[i].text);

                if (cases[i].expected)
                        assert_string_equal(source, cases[i].expected);
                else
                        assert_null(source);
        }
}

static void test_status(void **state)
{
        static const char text[] = "Name:\tUmask:\t7\nUmask:\t0027\nPid:\t-1\nNone:\t\n";
        unsigned long number = 99;

        (void)state;
        assert_true(proc_status_number(text, "Umask", 8, &number));
        assert_int_equal(number, 027);
        assert_false(proc_status_number(text, "Pid", 10, &number));
        assert_false(proc_status_number(text, "None", 10, &number));
        assert_false(proc_status_number(text, "Missing", 10, &number));
        assert_false(proc_status_number("", "Umask", 8, &number));
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_stat),
                cmocka_unit_test(test_bad_stat),
                cmocka_unit_test(test_root_source),
                cmocka_unit_test(test_status),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
