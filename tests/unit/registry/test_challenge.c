/* registry/challenge.h: the WWW-Authenticate header. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "registry/challenge.h"

static void assert_text(const char *actual, const char *expected)
{
        if (!expected)
                assert_null(actual);
        else
                assert_string_equal(actual ? actual : "(null)", expected);
}

static void test_single(void **state)
{
        static const struct {
                const char *value;
                enum challenge_scheme scheme;
                const char *realm, *service, *scope;
        } cases[] = {
                { "Bearer realm=\"https://auth.docker.io/token\",service=\"registry.docker.io\","
                  "scope=\"repository:library/alpine:pull\"",
                  CHALLENGE_BEARER, "https://auth.docker.io/token", "registry.docker.io",
                  "repository:library/alpine:pull" },
                { "Basic realm=\"a, \\\"quoted\\\" \\\\ one\"", CHALLENGE_BASIC,
                  "a, \"quoted\" \\ one", NULL, NULL },
                { "bEARER Realm = token , SERVICE=\"\"", CHALLENGE_BEARER, "token", "", NULL },
                { "Basic", CHALLENGE_BASIC, NULL, NULL, NULL },
                { "  , ,Basic realm=x", CHALLENGE_BASIC, "x", NULL, NULL },
                { "Bearer realm=\"a\" service=\"b\"", CHALLENGE_BEARER, "a", "b", NULL },
                { "Bearer realm=\"first\",realm=\"second\"", CHALLENGE_BEARER, "first", NULL,
                  NULL },
                { "Bearer scope=\"repository:a:pull,push\",error=\"invalid_token\"",
                  CHALLENGE_BEARER, NULL, NULL, "repository:a:pull,push" },
                { "Negotiate YWJj+/==", CHALLENGE_OTHER, NULL, NULL, NULL },
                { "Basicer realm=\"x\"", CHALLENGE_OTHER, "x", NULL, NULL },
        };

        (void)state;
        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                auto_challenge struct challenge challenge = CHALLENGE_INIT, more = CHALLENGE_INIT;
                const char *cursor = cases[i].value;

                assert_int_equal(challenge_next(&cursor, &challenge), 1);
                assert_int_equal(challenge.scheme, cases[i].scheme);
                assert_text(challenge.realm, cases[i].realm);
                assert_text(challenge.service, cases[i].service);
                assert_text(challenge.scope, cases[i].scope);
                assert_int_equal(challenge_next(&cursor, &more), 0);
        }
}

static void test_several(void **state)
{
        const char *cursor = "Negotiate abc==, Basic realm=\"one\", charset=\"UTF-8\", "
                             "Bearer realm=\"https://two/?a=b,c\",service=three, Digest";
        static const enum challenge_scheme schemes[] = { CHALLENGE_OTHER, CHALLENGE_BASIC,
                                                         CHALLENGE_BEARER, CHALLENGE_OTHER };
        static const char *const realms[] = { NULL, "one", "https://two/?a=b,c", NULL };

        (void)state;
        for (size_t i = 0; i < ARRAY_SIZE(schemes); i++) {
                auto_challenge struct challenge challenge = CHALLENGE_INIT;

                assert_int_equal(challenge_next(&cursor, &challenge), 1);
                assert_int_equal(challenge.scheme, schemes[i]);
                assert_text(challenge.realm, realms[i]);
        }
        assert_int_equal(challenge_next(&cursor, NULL), 0);
}

static void test_malformed(void **state)
{
        static const char *const values[] = {
                "\"Bearer\"",
                "Bearer realm=\"open",
                "Bearer realm=\"open\\",
                "Bearer realm=\"a\"{",
                "Bearer=x",
                "{}",
                "B\x01 a=b",
        };

        (void)state;
        for (size_t i = 0; i < ARRAY_SIZE(values); i++) {
                auto_challenge struct challenge challenge = CHALLENGE_INIT;
                const char *cursor = values[i];

                assert_int_equal(challenge_next(&cursor, &challenge), -1);
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_single),
                cmocka_unit_test(test_several),
                cmocka_unit_test(test_malformed),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
