/* registry/credentials.h and netrc.h: who the user is. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "registry/credentials.h"
#include "registry/netrc.h"
#include "util/io.h"
#include "util/strbuf.h"

static void test_netrc(void **state)
{
        static const char text[] =
                "# a comment\n"
                "machine one.io login alice password s3cret # trailing\n"
                "machine two.io\n\tlogin $oauthtoken\n\tpassword \"a \\\"b\\\"\"\n"
                "machine one.io login bob password #hash\n"
                "machine three.io account x login carol password $(echo a b)  c\n"
                "macdef init\ncd /tmp\nmachine evil login no password no\n\n"
                "bogus\n"
                "default login anyone password last";
        struct netrc netrc = { .entries = NULL };
        const struct netrc_entry *entry;
        struct error err = ERROR_INIT;

        (void)state;
        assert_int_equal(netrc_parse(text, &netrc, &err), 0);
        assert_int_equal(netrc.count, 5);
        assert_int_equal(netrc.odd_line, 12);

        entry = netrc_find(&netrc, "ONE.io", NULL);
        assert_string_equal(entry->login, "alice");
        assert_string_equal(entry->password, "s3cret");
        assert_false(entry->expand);
        assert_string_equal(netrc_find(&netrc, "one.io", "bob")->password, "#hash");
        assert_null(netrc_find(&netrc, "one.io", "carol"));
        entry = netrc_find(&netrc, "two.io", "$oauthtoken");
        assert_string_equal(entry->password, "a \"b\"");
        entry = netrc_find(&netrc, "three.io", NULL);
        assert_true(entry->expand);
        assert_string_equal(entry->password, "$(echo a b)  c");
        assert_null(netrc_find(&netrc, "evil", NULL));
        assert_null(netrc_find(&netrc, "unknown", NULL));
        assert_string_equal(netrc_find(&netrc, NULL, "anyone")->password, "last");
        netrc_release(&netrc);
}

static void test_netrc_odd(void **state)
{
        static const char *const harmless[] = {
                "",
                "\n\n",
                "#",
                "machine",
                "machine a login",
                "machine a password",
                "login x",
                "default",
                "machine a password $",
                "macdef",
                "macdef x\n",
                "machine a\r\nlogin b\r\n",
        };

        (void)state;
        for (size_t i = 0; i < ARRAY_SIZE(harmless); i++) {
                struct netrc netrc = { .entries = NULL };
                struct error err = ERROR_INIT;

                assert_int_equal(netrc_parse(harmless[i], &netrc, &err), 0);
                netrc_release(&netrc);
        }
        {
                struct netrc netrc = { .entries = NULL };
                struct error err = ERROR_INIT;

                assert_int_equal(netrc_parse("machine a\nlogin \"b\n", &netrc, &err), -1);
                assert_int_equal(err.code, EINVAL);
                assert_non_null(strstr(err.message, "line 2"));
        }
}

/* ---- the file ---- */

struct log {
        struct report base;
        struct strbuf text;
};

static void take_message(struct report *report, enum report_level level, const char *text)
{
        struct log *log = (struct log *)report;

        strbuf_printf(&log->text, "%s%s\n", level == REPORT_WARN ? "WARN " : "", text);
}

static char file_name[] = "/tmp/enroot-test-credentials-XXXXXX";

static void write_credentials(const char *text, mode_t mode)
{
        auto_close int fd = open(file_name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

        assert_true(fd >= 0);
        assert_int_equal(io_write_full(fd, text, strlen(text)), 0);
        assert_int_equal(fchmod(fd, mode), 0);
}

static int set_up(void **state)
{
        int fd = mkstemp(file_name);

        (void)state;
        return fd < 0 ? -1 : close(fd);
}

static int tear_down(void **state)
{
        (void)state;
        return unlink(file_name);
}

static void test_find(void **state)
{
        static const struct {
                const char *registry, *realm_host, *user; /* asked for */
                const char *found, *password;             /* NULL: anonymous */
        } cases[] = {
                { "one.io", NULL, NULL, "alice", "a1" },
                { "one.io", NULL, "bob", "bob", "b1" },
                { "one.io:5000", NULL, NULL, "port", "p1" },
                { "one.io:5001", NULL, NULL, "alice", "a1" },
                { "none.io", NULL, NULL, NULL, NULL },
                { "none.io", NULL, "anyone", "anyone", "last" },
                /* NGC names its token server apart; the first login of the registry decides. */
                { "nvcr.io", "authn.nvidia.com", NULL, "$oauthtoken", "realm" },
                { "nvcr.io", "elsewhere", NULL, "$oauthtoken", "registry" },
                /* A registry without an entry cannot name a token server that has one. */
                { "evil.io", "authn.nvidia.com", NULL, NULL, NULL },
                { "registry-1.docker.io", "auth.docker.io", NULL, "dock", "d1" },
                { "sh.io", NULL, NULL, "AWS", "from the shell" },
                { "env.io", NULL, NULL, "env", "a\\nb" },
        };

        (void)state;
        write_credentials("machine one.io login alice password a1\n"
                          "machine one.io login bob password b1\n"
                          "machine one.io:5000 login port password p1\n"
                          "machine nvcr.io login $oauthtoken password registry\n"
                          "machine authn.nvidia.com login $oauthtoken password realm\n"
                          "machine auth.docker.io login dock password d1\n"
                          "machine sh.io login AWS password $(echo from the shell)\n"
                          "machine env.io login env password $SECRET\n"
                          "default login anyone password last\n",
                          0600);
        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                char *variables[] = { (char *)"SECRET=a\\nb", NULL };
                struct strlist environment = { .items = variables, .count = 1 };
                struct log log = { .base.message = take_message };
                auto_credential struct credential credential = CREDENTIAL_INIT;
                struct error err = ERROR_INIT;
                struct credential_query query = {
                        .file = file_name,
                        .registry = cases[i].registry,
                        .realm_host = cases[i].realm_host,
                        .user = cases[i].user,
                        .environment = &environment,
                };

                assert_int_equal(credentials_find(&query, &log.base, &credential, &err), 0);
                if (cases[i].found) {
                        assert_string_equal(credential.user, cases[i].found);
                        assert_string_equal(credential.password, cases[i].password);
                        assert_null(strstr(log.text.data, cases[i].password));
                        assert_non_null(strstr(log.text.data, file_name));
                } else {
                        assert_null(credential.user);
                        assert_non_null(strstr(log.text.data, "<anonymous>"));
                }
                strbuf_release(&log.text);
        }
}

static int find(const char *registry, struct log *log, struct error *err)
{
        auto_credential struct credential credential = CREDENTIAL_INIT;
        struct credential_query query = { .file = file_name, .registry = registry };

        return credentials_find(&query, &log->base, &credential, err);
}

static void test_find_failures(void **state)
{
        struct log log = { .base.message = take_message };
        struct error err = ERROR_INIT;

        (void)state;
        write_credentials("machine a.io login x password $(false)\n"
                          "machine b.io login \"x\n",
                          0644);
        assert_int_equal(find("a.io", &log, &err), -1);
        assert_non_null(strstr(err.message, "line 2"));

        write_credentials("machine a.io login x password $(false)\nmachine big.io login x "
                          "password $(head -c 100000 /dev/zero | tr '\\0' x)\n",
                          0644);
        assert_int_equal(find("a.io", &log, &err), -1);
        assert_int_equal(err.code, EACCES);
        assert_non_null(strstr(log.text.data, "WARN Others may read"));
        assert_int_equal(find("big.io", &log, &err), -1);
        assert_int_equal(err.code, EFBIG);
        strbuf_release(&log.text);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_netrc),
                cmocka_unit_test(test_netrc_odd),
                cmocka_unit_test(test_find),
                cmocka_unit_test(test_find_failures),
        };

        return cmocka_run_group_tests(tests, set_up, tear_down);
}
