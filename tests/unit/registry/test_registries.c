/* registry/toml.h and registries.h: what registries.conf says. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "registry/registries.h"
#include "registry/toml.h"
#include "util/strbuf.h"

/* Write all items as "KIND name=value;". */
static int dump(const char *text, struct strbuf *out, struct error *err)
{
        struct toml toml = { .at = text, .line = 1 };
        int more;

        for (;;) {
                auto_toml_item struct toml_item item = TOML_ITEM_INIT;

                more = toml_next(&toml, &item, err);
                if (more <= 0)
                        return more;
                switch (item.kind) {
                case TOML_TABLE:
                        strbuf_printf(out, "[%s];", item.name);
                        break;
                case TOML_ARRAY_TABLE:
                        strbuf_printf(out, "[[%s]];", item.name);
                        break;
                case TOML_STRING:
                        strbuf_printf(out, "%s=%s;", item.name, item.text);
                        break;
                case TOML_BOOL:
                        strbuf_printf(out, "%s=%d;", item.name, item.flag);
                        break;
                case TOML_STRINGS:
                        strbuf_printf(out, "%s=", item.name);
                        for (size_t i = 0; i < item.list.count; i++)
                                strbuf_printf(out, "<%s>", item.list.items[i]);
                        strbuf_append(out, ";");
                        break;
                case TOML_OTHER:
                        strbuf_printf(out, "%s?;", item.name);
                        break;
                }
        }
}

static void test_toml(void **state)
{
        static const struct {
                const char *text, *items;
        } cases[] = {
                { "", "" },
                { "# nothing\n\n  \t# more", "" },
                { "a = \"b\" # c\r\nd=true\ne = false", "a=b;d=1;e=0;" },
                { "[t]\n[ a . \"b c\" ]\n[[x.y]]#", "[t];[a.b c];[[x.y]];" },
                { "a.b = 'c:\\d'", "a.b=c:\\d;" },
                { "a = \"\\\"\\\\\\n\\u00e9\\U0001F600\"", "a=\"\\\n\xc3\xa9\xf0\x9f\x98\x80;" },
                { "a = [\"x\", 'y', # z\n\n \"w\",\n]\nb=[]", "a=<x><y><w>;b=;" },
                { "a = [1, \"x\"]\nb = [[1], [\"y\"]]", "a?;b?;" },
                { "a = {b = 1, c.d = [2, {e = \"f\"}]}\ng=true", "a?;g=1;" },
                { "a = -1_000.5e3\nb = 1979-05-27T07:32:00Z\nc = inf\nd = 0x1F", "a?;b?;c?;d?;" },
        };
        static const char *const bad[] = {
                "a",
                "a =",
                "= 1",
                "[t",
                "[[t]",
                "[]",
                "a = b",
                "a = \"x",
                "a = 'x\n'",
                "a = [1",
                "a = [1 2]",
                "a = {b 1}",
                "a = {b = 1",
                "a = 1 2",
                "a = \"\\q\"",
                "a = \"\\u12\"",
                "a = \"\\ud800\"",
                "a = \"\\u0000\"",
                "a = \"\"\"x\"\"\"",
                "a = tru",
                "a..b = 1",
                "[t] a = 1",
        };

        (void)state;
        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                auto_strbuf struct strbuf out = STRBUF_INIT;
                struct error err = ERROR_INIT;

                assert_int_equal(dump(cases[i].text, &out, &err), 0);
                assert_string_equal(strbuf_text(&out), cases[i].items);
        }
        for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
                auto_strbuf struct strbuf out = STRBUF_INIT;
                struct error err = ERROR_INIT;

                assert_int_equal(dump(bad[i], &out, &err), -1);
                assert_non_null(strstr(err.message, "line 1"));
        }
}

static void test_toml_depth(void **state)
{
        auto_strbuf struct strbuf text = STRBUF_INIT, out = STRBUF_INIT;
        struct error err = ERROR_INIT;

        (void)state;
        strbuf_append(&text, "a = ");
        for (int i = 0; i < 100000; i++)
                strbuf_append_char(&text, '[');
        assert_int_equal(dump(text.data, &out, &err), -1);
        assert_non_null(strstr(err.message, "nested"));
}

static int parse(struct registries *registries, const char *text, struct error *err)
{
        return registries_parse(registries, text, strlen(text), "test.conf", err);
}

static const char example[] = "unqualified-search-registries = [\"docker.io\"]\n"
                              "[[registry]]\n"
                              "prefix = \"example.com/foo\"\n"
                              "location = \"internal.example:5000/bar\"\n"
                              "insecure = true\n"
                              "[[registry.mirror]]\n"
                              "location = \"mirror.one/cache\"\n"
                              "[[registry.mirror]]\n"
                              "location = \"mirror.two\"\n"
                              "insecure = true\n"
                              "pull-from-mirror = \"digest-only\"\n"
                              "[[registry]]\n"
                              "location = \"example.com\"\n"
                              "[[registry]]\n"
                              "prefix = \"*.blocked.org\"\n"
                              "blocked = true\n"
                              "[aliases]\n"
                              "\"registry\" = \"docker.io/library/registry\"\n";

static void test_find(void **state)
{
        static const struct {
                const char *name, *prefix, *location; /* where it is in the end */
        } cases[] = {
                { "example.com/foo", "example.com/foo", "internal.example:5000/bar" },
                { "example.com/foo/x", "example.com/foo", "internal.example:5000/bar/x" },
                { "example.com/food", "example.com", "example.com/food" },
                { "EXAMPLE.com/a", "example.com", "EXAMPLE.com/a" },
                { "example.com:5000/foo", NULL, NULL },
                { "a.b.blocked.org/x", "*.blocked.org", "a.b.blocked.org/x" },
                { "blocked.org/x", NULL, NULL },
                { "other.org/a.blocked.org", NULL, NULL },
        };
        auto_registries struct registries registries = { .entries = NULL };
        struct error err = ERROR_INIT;

        (void)state;
        assert_int_equal(parse(&registries, example, &err), 0);
        assert_int_equal(registries.count, 3);
        assert_int_equal(registries.entries[0].mirror_count, 2);
        assert_string_equal(registries.entries[0].mirrors[0].location, "mirror.one/cache");
        assert_int_equal(registries.entries[0].mirrors[1].use, REGISTRIES_USE_DIGEST);
        assert_true(registries.entries[0].mirrors[1].insecure);
        assert_true(registries.entries[2].blocked);
        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                const struct registries_entry *entry = registries_find(&registries, cases[i].name);
                auto_free char *location = NULL;

                if (!cases[i].prefix) {
                        assert_null(entry);
                        continue;
                }
                assert_non_null(entry);
                assert_string_equal(entry->prefix, cases[i].prefix);
                location = registries_rewrite(entry, entry->location, cases[i].name);
                assert_string_equal(location, cases[i].location);
        }
        assert_false(registries_host_insecure(&registries, "example.com"));
}

static void test_later_files_win(void **state)
{
        auto_registries struct registries registries = { .entries = NULL };
        struct error err = ERROR_INIT;

        (void)state;
        assert_int_equal(parse(&registries, example, &err), 0);
        assert_int_equal(parse(&registries,
                               "[[registry]]\nlocation = \"example.com\"\n"
                               "insecure = true\n"
                               "[[registry]]\nlocation = \"new.org\"\n",
                               &err),
                         0);
        assert_int_equal(registries.count, 4);
        assert_true(registries_host_insecure(&registries, "example.com"));
        assert_false(registries_host_insecure(&registries, "new.org"));
        assert_false(registries_host_insecure(&registries, "unknown.org"));
}

static void test_bad_files(void **state)
{
        static const struct {
                const char *text, *says;
        } cases[] = {
                { "[[registry]]\n", "neither prefix nor location" },
                { "[[registry]]\nlocation = \"https://x.org\"\n", "line 2: location" },
                { "[[registry]]\nlocation = \"x.org/a:latest\"\n", "cannot be a prefix" },
                { "[[registry]]\nprefix = \"x.org/a:latest\"\n", "line 2: prefix" },
                { "[[registry]]\nlocation = \"x.org/../y\"\n", "line 2" },
                { "[[registry]]\nlocation = \"user@x.org\"\n", "line 2" },
                { "[[registry]]\nlocation = true\n", "line 2" },
                { "[[registry]]\nlocation = \"x\"\ninsecure = \"yes\"\n", "line 3: insecure" },
                { "[[registry]]\nlocation = \"x\"\nmirror = []\n", "[[registry.mirror]]" },
                { "[[registry.mirror]]\nlocation = \"x\"\n", "before any" },
                { "[[registry]]\nlocation = \"x\"\n[[registry.mirror]]\n", "without a location" },
                { "[[registry]]\nlocation = \"x\"\n[[registry.mirror]]\n"
                  "location = \"y\"\npull-from-mirror = \"never\"\n",
                  "line 5" },
                { "[registries.search]\nregistries = []\n", "version 1" },
                { "[registry]\nlocation = \"x\"\n", "two brackets" },
                { "registry = [{location = \"x\"}]\n", "[[registry]]" },
        };

        (void)state;
        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                auto_registries struct registries registries = { .entries = NULL };
                struct error err = ERROR_INIT;

                assert_int_equal(parse(&registries, cases[i].text, &err), -1);
                assert_non_null(strstr(err.message, cases[i].says));
                assert_int_equal(registries.count, 0);
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_toml),      cmocka_unit_test(test_toml_depth),
                cmocka_unit_test(test_find),      cmocka_unit_test(test_later_files_win),
                cmocka_unit_test(test_bad_files),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
