/* registry/auth_file.h: Docker's and Podman's files; util/base64.h, which they use. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "registry/auth_file.h"
#include "util/base64.h"

static void test_base64(void **state)
{
        static const struct {
                const char *plain, *encoded;
        } cases[] = {
                { "", "" },        { "f", "Zg==" },        { "fo", "Zm8=" },
                { "foo", "Zm9v" }, { "foob", "Zm9vYg==" }, { "\xff\xfe?", "//4/" },
        };
        static const char *const bad[] = { "Z", "Zm9v!", "Zg==x", " Zg==", "Z===", "Zm9vY" };

        (void)state;
        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                auto_strbuf struct strbuf encoded = STRBUF_INIT, plain = STRBUF_INIT;

                assert_int_equal(base64_encode(cases[i].plain, strlen(cases[i].plain), &encoded),
                                 0);
                assert_string_equal(strbuf_text(&encoded), cases[i].encoded);
                assert_int_equal(base64_decode(cases[i].encoded, &plain), 0);
                assert_string_equal(strbuf_text(&plain), cases[i].plain);
        }
        for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
                auto_strbuf struct strbuf plain = STRBUF_INIT;

                assert_int_equal(base64_decode(bad[i], &plain), -1);
        }
        {
                auto_strbuf struct strbuf plain = STRBUF_INIT;

                assert_int_equal(base64_decode("Zm\n9v\r\nYg", &plain), 0);
                assert_string_equal(plain.data, "foob");
        }
}

/* alice:a, bob:b, carol:c:d, hub:h */
static const char file[] =
        "{\"auths\": {"
        " \"one.io\": {\"auth\": \"YWxpY2U6YQ==\"},"
        " \"one.io/team/app\": {\"auth\": \"Ym9iOmI=\"},"
        " \"https://old.io/v1/\": {\"username\": \"carol\", \"password\": \"c:d\"},"
        " \"https://index.docker.io/v1/\": {\"auth\": \"aHViOmg=\"},"
        " \"token.io\": {\"auth\": \"eDo=\", \"identitytoken\": \"refresh\"},"
        " \"stored.io\": {}},"
        "\"credHelpers\": {\"helped.io\": \"special\", \"none.io\": \"\"},"
        "\"credsStore\": \"store\"}";

static void test_find(void **state)
{
        static const struct {
                const char *registry, *repository, *user; /* asked for */
                const char *found;                        /* user:password, token or helper */
        } cases[] = {
                { "one.io", "x", NULL, "alice:a" },
                { "one.io", "team/app", NULL, "bob:b" },
                { "one.io", "team/app/sub", NULL, "bob:b" },
                { "one.io", "team/application", NULL, "alice:a" },
                { "ONE.io", NULL, NULL, "alice:a" },
                { "one.io", "team/app", "alice", "alice:a" },
                { "one.io", "x", "carol", "helper store" },
                { "one.io:5000", "x", NULL, "helper store" },
                { "old.io", "x", NULL, "carol:c:d" },
                { "registry-1.docker.io", "library/alpine", NULL, "hub:h" },
                { "token.io", "x", NULL, "token refresh" },
                { "stored.io", "x", NULL, "helper store" },
                { "helped.io", "x", "anyone", "helper special" },
                { "none.io", "x", NULL, "helper store" },
        };

        (void)state;
        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                const struct auth_file_query query = { .registry = cases[i].registry,
                                                       .repository = cases[i].repository,
                                                       .user = cases[i].user };
                auto_auth_file_answer struct auth_file_answer answer = AUTH_FILE_ANSWER_INIT;
                auto_strbuf struct strbuf found = STRBUF_INIT;
                struct error err = ERROR_INIT;

                assert_int_equal(auth_file_find(file, strlen(file), &query, &answer, &err), 1);
                if (answer.helper)
                        strbuf_printf(&found, "helper %s", answer.helper);
                else if (answer.credential.identity_token)
                        strbuf_printf(&found, "token %s", answer.credential.identity_token);
                else
                        strbuf_printf(&found, "%s:%s", answer.credential.user,
                                      answer.credential.password);
                assert_string_equal(found.data, cases[i].found);
        }
}

static void test_odd_files(void **state)
{
        static const struct {
                const char *text;
                int expected;
        } cases[] = {
                { "{}", 0 },
                { "{\"auths\": {}, \"HttpHeaders\": {\"a\": \"b\"}}", 0 },
                { "{\"auths\": {\"a.io\": {\"auth\": \"\"}}}", 0 },
                { "{\"auths\": {\"a.io\": {\"auth\": \"####\"}}}", -1 },
                { "{\"auths\": {\"a.io\": {\"auth\": \"YWxpY2U=\"}}}", -1 }, /* no colon */
                { "{\"auths\": {\"a.io\": {\"auth\": \"YQA6Yg==\"}}}", -1 }, /* a NUL */
                { "{\"auths\": {\"a.io\": 3}}", -1 },
                { "{\"auths\": []}", -1 },
                { "{\"credsStore\": \"../../bin/sh\"}", -1 },
                { "{\"credsStore\": \"a b\"}", -1 },
                { "{\"credHelpers\": {\"a.io\": \"x/y\"}}", -1 },
                { "[]", -1 },
                { "", -1 },
        };
        const struct auth_file_query query = { .registry = "a.io", .repository = "x" };

        (void)state;
        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                auto_auth_file_answer struct auth_file_answer answer = AUTH_FILE_ANSWER_INIT;
                struct error err = ERROR_INIT;

                assert_int_equal(
                        auth_file_find(cases[i].text, strlen(cases[i].text), &query, &answer, &err),
                        cases[i].expected);
        }
}

static void test_helper_answer(void **state)
{
        static const struct {
                const char *text, *user;
                int expected;
                const char *found_user, *secret, *token;
        } cases[] = {
                { "{\"ServerURL\":\"x\",\"Username\":\"u\",\"Secret\":\"s\"}", NULL, 1, "u", "s",
                  NULL },
                { "{\"Username\":\"u\",\"Secret\":\"s\"}", "u", 1, "u", "s", NULL },
                { "{\"Username\":\"u\",\"Secret\":\"s\"}", "other", 0, NULL, NULL, NULL },
                { "{\"Username\":\"<token>\",\"Secret\":\"t\"}", "any", 1, NULL, NULL, "t" },
                { "{\"Username\":\"u\",\"Secret\":\"\"}", NULL, 0, NULL, NULL, NULL },
                { "{}", NULL, 0, NULL, NULL, NULL },
                { "credentials not found in native keychain", NULL, -1, NULL, NULL, NULL },
        };

        (void)state;
        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                auto_credential struct credential credential = CREDENTIAL_INIT;
                struct error err = ERROR_INIT;

                assert_int_equal(auth_file_helper_answer(cases[i].text, strlen(cases[i].text),
                                                         cases[i].user, &credential, &err),
                                 cases[i].expected);
                if (cases[i].found_user) {
                        assert_string_equal(credential.user, cases[i].found_user);
                        assert_string_equal(credential.password, cases[i].secret);
                } else {
                        assert_null(credential.user);
                }
                if (cases[i].token)
                        assert_string_equal(credential.identity_token, cases[i].token);
        }
        assert_string_equal(auth_file_helper_server("docker.io"), "https://index.docker.io/v1/");
        assert_string_equal(auth_file_helper_server("x.io:5000"), "x.io:5000");
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_base64),
                cmocka_unit_test(test_find),
                cmocka_unit_test(test_odd_files),
                cmocka_unit_test(test_helper_answer),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
