/* registry/: what is decided without a network: repetitions, origins, headers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "registry/auth.h"
#include "registry/retry.h"
#include "registry/url.h"

static void test_retry_after(void **state)
{
        static const struct {
                const char *value;
                int64_t expected;
        } cases[] = {
                { "0", 0 },
                { " 120 ", 120 },
                { "99999999999999999999", 2147483650 },
                { "Sun, 06 Nov 1994 08:49:37 GMT", 37 },
                { "Sun, 06 Nov 1994 08:48:00 GMT", 0 }, /* gone by */
                { "Mon, 07 Nov 1994 08:49:00 GMT", 86400 },
                { "Sun, 06 Nvo 1994 08:49:37 GMT", -1 },
                { "Sun, 06 ovD 1994 08:49:37 GMT", -1 },
                { "12 minutes", -1 },
                { "-3", -1 },
                { "", -1 },
        };

        (void)state;
        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                int64_t seconds = retry_after(cases[i].value, 784111740);

                if (cases[i].expected > INT32_MAX)
                        assert_true(seconds >= INT32_MAX);
                else
                        assert_int_equal(seconds, cases[i].expected);
        }
}

static void test_retry_delay(void **state)
{
        (void)state;
        assert_int_equal(retry_delay(0, 0), RETRY_FIRST_DELAY_MS / 2);
        assert_int_equal(retry_delay(0, RETRY_FIRST_DELAY_MS / 2), RETRY_FIRST_DELAY_MS);
        assert_int_equal(retry_delay(2, 0), RETRY_FIRST_DELAY_MS * 2);
        for (unsigned int n = 0; n < 100; n++) {
                assert_true(retry_delay(n, UINT32_MAX) <= RETRY_DELAY_LIMIT_MS);
                assert_true(retry_delay(n, n * 77777) >= RETRY_FIRST_DELAY_MS / 2);
        }
        assert_int_equal(retry_allowed(RETRY_NEVER, 9), 0);
        assert_int_equal(retry_allowed(RETRY_CONFIGURED, 0), 0);
        assert_int_equal(retry_allowed(RETRY_ALWAYS, 0), RETRY_MINIMUM);
        assert_int_equal(retry_allowed(RETRY_ALWAYS, 9), 9);
}

static void test_origin(void **state)
{
        static const struct {
                const char *a, *b;
                bool same;
        } cases[] = {
                { "https://r.io/v2/", "https://R.IO/other?x#y", true },
                { "https://r.io/v2/", "https://r.io:443/", true },
                { "http://r.io:80", "http://r.io/", true },
                { "https://r.io/", "http://r.io/", false },
                { "https://r.io/", "https://r.io:444/", false },
                { "https://r.io:80/", "https://r.io/", false },
                { "https://r.io/", "https://r.io.evil/", false },
                { "https://r.io/", "https://evil/https://r.io/", false },
                { "https://r.io/", "https://r.io@evil/", false },
                { "https://u@r.io/", "https://u@r.io/", false },
                { "https://r.io/", "https://r.io\\@evil/", false },
                { "https:///", "https:///", false },
                { "ftp://r.io/", "ftp://r.io/", false },
        };

        (void)state;
        for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
                assert_int_equal(url_same_origin(cases[i].a, cases[i].b), cases[i].same);
        assert_true(url_is_upgrade("http://r.io/v2/", "https://r.io/v2/"));
        assert_true(url_is_upgrade("http://r.io/v2/", "https://r.io:443/v2/"));
        assert_false(url_is_upgrade("http://r.io:5000/v2/", "https://r.io:5000/v2/"));
        assert_false(url_is_upgrade("http://r.io/", "https://evil/"));
        assert_false(url_is_upgrade("https://r.io/", "https://r.io/"));
}

static void test_host(void **state)
{
        static const struct {
                const char *url, *host;
        } cases[] = {
                { "https://r.io:5000/v2/", "r.io" },
                { "r.io:5000", "r.io" },
                { "r.io", "r.io" },
                { "https://u:p@r.io/", "r.io" },
                { "[::1]:5000", "[::1]" },
                { "https://[fe80::1]/", "[fe80::1]" },
        };

        (void)state;
        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                auto_strbuf struct strbuf host = STRBUF_INIT;

                assert_int_equal(url_host(cases[i].url, &host), 0);
                assert_string_equal(strbuf_text(&host), cases[i].host);
        }
        assert_true(url_valid("https://r.io/x?y=%20"));
        assert_false(url_valid("https://r.io/a b"));
        assert_false(url_valid("https://r.io/\r\nX: y"));
        assert_false(url_valid("/relative"));
        assert_false(url_valid("file:///etc/passwd"));
}

static void test_encode(void **state)
{
        auto_strbuf struct strbuf text = STRBUF_INIT;

        (void)state;
        assert_int_equal(url_encode("repository:a/b_c-d.e~f:pull,push &=\xff", &text), 0);
        assert_string_equal(text.data, "repository%3Aa%2Fb_c-d.e~f%3Apull%2Cpush%20%26%3D%FF");
}

static void test_basic(void **state)
{
        static const struct {
                const char *user, *password, *header;
        } cases[] = {
                { "Aladdin", "open sesame", "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==" }, /* RFC 7617 */
                { "", "", "Basic Og==" },
                { "a", "b", "Basic YTpi" },
                { "test", "123\xc2\xa3", "Basic dGVzdDoxMjPCow==" },
                { "ab", "c", "Basic YWI6Yw==" },
                { "ab", "cd", "Basic YWI6Y2Q=" },
        };

        (void)state;
        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                auto_free char *header = auth_basic(cases[i].user, cases[i].password);

                assert_string_equal(header, cases[i].header);
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_retry_after), cmocka_unit_test(test_retry_delay),
                cmocka_unit_test(test_origin),      cmocka_unit_test(test_host),
                cmocka_unit_test(test_encode),      cmocka_unit_test(test_basic),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
