/* config/: the expansion of values. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "config/config.h"
#include "config/expand.h"
#include "util/strbuf.h"

static void fill(struct strlist *env)
{
        static const char *const items[] = {
                "HOME=/home/me", "A=1", "EMPTY=", "BLANKS=x  y", "DOLLAR=$A`", "PATH=/usr/bin:/bin",
        };

        for (size_t i = 0; i < ARRAY_SIZE(items); i++)
                assert_int_equal(strlist_append(env, items[i]), 0);
}

/* A command that must not run. */
static char *no_command(const char *command, const struct strlist *environment, struct error *err)
{
        (void)environment;
        error_set(err, EPERM, "ran %s", command);
        return NULL;
}

static void test_without_commands(void **state)
{
        static const struct {
                const char *value, *expected;
        } cases[] = {
                { "", "" },
                { "  two   words  ", "two words" },
                { "-noI -noD -noF -noX -no-duplicates", "-noI -noD -noF -noX -no-duplicates" },
                { "${HOME}/.config/enroot", "/home/me/.config/enroot" },
                { "$HOME/x$A.y", "/home/me/x1.y" },
                { "/rt/${SLURM_JOB_ID:-}", "/rt/" },
                { "${TMPDIR:-/tmp}", "/tmp" },
                { "${EMPTY:-d}${EMPTY-d}|${NONE-d}", "d|d" },
                { "${A:+set}${EMPTY:+set}|${EMPTY+set}${NONE+set}", "set|set" },
                { "${A:-$(false)}${EMPTY:+$(false)}", "1" },
                { "${NONE:-${EMPTY:-${A}}}", "1" },
                { "${NONE:=x}", "x" },
                { "${NONE:-a b}", "a b" },
                { "${NONE:-\"}\"}${NONE:-'}'}${NONE:-\\}}", "}}}" },
                { "\"a  b\" 'c  d' e\\ \\ f", "a  b c  d e  f" },
                { "'$A' \"$A\" \\$A \"\\$A\\x\"", "$A 1 $A $A\\x" },
                { "\"it's\" 'say \"x\"'", "it's say \"x\"" },
                { "\"${NONE:-\"x y\"}\"", "x y" },
                { "$BLANKS", "x  y" },
                { "$DOLLAR", "$A`" },
                { "a # comment", "a" },
                { "a#b", "a#b" },
                { "# all", "" },
                { "~", "/home/me" },
                { "~/x ~ y~/z", "/home/me/x /home/me y~/z" },
                { "~user \"~\" ${NONE:-~/x}", "~user ~ /home/me/x" },
                { "$ $$ $1 a$", "$ $$ $1 a$" },
                { "cuda>=11.0 a;b|c&d(e)*", "cuda>=11.0 a;b|c&d(e)*" },
                { "http://user:p%40ss@proxy:3128/", "http://user:p%40ss@proxy:3128/" },
                { "a\\", "a\\" },
                { "\xff\xfe", "\xff\xfe" },
        };
        auto_strlist struct strlist env = STRLIST_INIT;

        (void)state;
        fill(&env);
        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                struct error err = ERROR_INIT;
                auto_free char *text = expand_value(cases[i].value, &env, no_command, &err);

                if (!text)
                        fail_msg("%s: %s", cases[i].value, err.message);
                assert_string_equal(text, cases[i].expected);
        }
}

static void test_malformed(void **state)
{
        static const char *const cases[] = {
                "'a",   "\"a", "\"a\\\"", "${A",     "${A:-x", "${A:-\"x}",
                "$(id", "`id", "`id\\",   "${A:-'}", "$((1)",  "\"${NONE:-'x}\"",
        };
        auto_strlist struct strlist env = STRLIST_INIT;

        (void)state;
        fill(&env);
        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                struct error err = ERROR_INIT;
                auto_free char *text = expand_value(cases[i], &env, no_command, &err);

                if (text)
                        fail_msg("%s: accepted as %s", cases[i], text);
                assert_int_equal(err.code, EINVAL);
        }
}

static void test_limits(void **state)
{
        auto_strlist struct strlist env = STRLIST_INIT;
        auto_strbuf struct strbuf value = STRBUF_INIT;
        auto_free char *text = NULL;
        struct error err = ERROR_INIT;

        (void)state;
        for (int i = 0; i < 1000; i++)
                strbuf_append(&value, "${N:-");
        for (int i = 0; i < 1000; i++)
                strbuf_append(&value, "}");
        assert_null(expand_value(value.data, &env, no_command, &err));
        assert_non_null(strstr(err.message, "nested"));

        strbuf_reset(&value);
        for (unsigned int i = 0; i < CONFIG_VALUE_LIMIT; i++)
                strbuf_append_char(&value, 'x');
        text = expand_value(value.data, &env, no_command, &err);
        assert_non_null(text);
        strbuf_append_char(&value, 'x');
        assert_null(expand_value(value.data, &env, no_command, &err));
        assert_int_equal(err.code, E2BIG);
}

static void expect(const char *value, const struct strlist *env, const char *expected)
{
        struct error err = ERROR_INIT;
        auto_free char *text = config_expand(value, env, &err);

        if (!text)
                fail_msg("%s: %s", value, err.message);
        assert_string_equal(text, expected);
}

/* The answers given without a shell are the shell's. */
static void test_known_commands(void **state)
{
        static const char *const commands[] = {
                "id -u", "id -un",   "id -u -n", "whoami",
                "id -g", "uname -n", "uname -m", " id  -u ",
        };
        auto_strlist struct strlist env = STRLIST_INIT;
        char number[32];

        (void)state;
        fill(&env);
        for (size_t i = 0; i < ARRAY_SIZE(commands); i++) {
                auto_free char *direct = NULL, *shell = NULL, *detour = NULL;
                struct error err = ERROR_INIT;

                direct = expand_run_command(commands[i], &env, &err);
                assert_non_null(direct);
                assert_true(asprintf(&detour, "true; %s", commands[i]) > 0);
                shell = expand_run_command(detour, &env, &err);
                assert_non_null(shell);
                assert_string_equal(direct, shell);
        }

        (void)snprintf(number, sizeof(number), "%u", (unsigned int)getuid());
        expect("${UID}", &env, number);
        (void)snprintf(number, sizeof(number), "%u", available_processors());
        expect("$(nproc)", &env, number);
        assert_true(available_processors() >= 1);
}

static void test_shell_commands(void **state)
{
        auto_strlist struct strlist env = STRLIST_INIT;

        (void)state;
        fill(&env);
        expect("/a/$(echo b)/c", &env, "/a/b/c");
        expect("`echo b`", &env, "b");
        expect("\"$(echo \"x  y\")\"", &env, "x  y");
        expect("$(printf 'a\\nb\\n\\n')", &env, "a b");
        expect("$(echo $A; echo ')')", &env, "1 )");
        expect("$(echo $(echo deep))", &env, "deep");
        expect("x$(exit 3)y", &env, "xy");
        expect("$((2 * (1 + A)))", &env, "4");
        expect("${HOME##*/} ${#A}", &env, "me 1");
        expect("$(cat)", &env, "");
}

static void test_endless_command(void **state)
{
        auto_strlist struct strlist env = STRLIST_INIT;
        struct error err = ERROR_INIT;

        (void)state;
        fill(&env);
        assert_null(config_expand("$(yes)", &env, &err));
        assert_int_equal(err.code, EFBIG);
        assert_non_null(strstr(err.message, "$(yes)"));
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_without_commands), cmocka_unit_test(test_malformed),
                cmocka_unit_test(test_limits),           cmocka_unit_test(test_known_commands),
                cmocka_unit_test(test_shell_commands),   cmocka_unit_test(test_endless_command),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
