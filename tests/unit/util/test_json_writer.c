/* util/json_writer.c: layout, nesting, and text that is not fit for JSON. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "util/json_writer.h"

static void test_nesting(void **state)
{
        auto_strbuf struct strbuf text = STRBUF_INIT;
        struct json_writer writer = { .text = &text };

        (void)state;
        json_write_object(&writer, NULL);
        json_write_text(&writer, "name", "alpine");
        json_write_array(&writer, "processes");
        json_write_object(&writer, NULL);
        json_write_number(&writer, "pid", 12);
        json_write_bool(&writer, "alive", true);
        json_write_end(&writer);
        json_write_number(&writer, NULL, INT64_MIN);
        json_write_end(&writer);
        json_write_array(&writer, "none");
        json_write_end(&writer);
        json_write_text(&writer, "digest", NULL);
        json_write_end(&writer);
        assert_false(text.failed);
        assert_string_equal(strbuf_text(&text), "{\n"
                                                "  \"name\": \"alpine\",\n"
                                                "  \"processes\": [\n"
                                                "    {\n"
                                                "      \"pid\": 12,\n"
                                                "      \"alive\": true\n"
                                                "    },\n"
                                                "    -9223372036854775808\n"
                                                "  ],\n"
                                                "  \"none\": [],\n"
                                                "  \"digest\": null\n"
                                                "}\n");
}

static void test_empty(void **state)
{
        auto_strbuf struct strbuf text = STRBUF_INIT;
        struct json_writer writer = { .text = &text };

        (void)state;
        json_write_array(&writer, NULL);
        json_write_end(&writer);
        assert_string_equal(strbuf_text(&text), "[]\n");
}

static void test_strings(void **state)
{
        static const struct {
                const char *value, *expected;
        } cases[] = {
                { "", "\"\"" },
                { "a\"b\\c", "\"a\\\"b\\\\c\"" },
                { "line\nnext\ttab\x7f", "\"line\\nnext\\u0009tab\\u007f\"" },
                { "\xc3\xa4 \xe2\x82\xac \xf0\x9f\x90\xa7",
                  "\"\xc3\xa4 \xe2\x82\xac \xf0\x9f\x90\xa7\"" },
                { "\xff", "\"\xef\xbf\xbd\"" },
                { "cut \xe2\x82", "\"cut \xef\xbf\xbd\xef\xbf\xbd\"" },
                { "overlong \xc0\xaf", "\"overlong \xef\xbf\xbd\xef\xbf\xbd\"" },
                { "surrogate \xed\xa0\x80", "\"surrogate \xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\"" },
                { "too high \xf4\x90\x80\x80",
                  "\"too high \xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\"" },
        };

        (void)state;
        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                auto_strbuf struct strbuf text = STRBUF_INIT;
                struct json_writer writer = { .text = &text };

                json_write_text(&writer, NULL, cases[i].value);
                assert_string_equal(strbuf_text(&text), cases[i].expected);
        }
}

static void test_too_deep(void **state)
{
        auto_strbuf struct strbuf text = STRBUF_INIT;
        struct json_writer writer = { .text = &text };

        (void)state;
        for (unsigned int i = 0; i <= JSON_WRITER_DEPTH; i++)
                json_write_array(&writer, NULL);
        assert_true(text.failed);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_nesting),
                cmocka_unit_test(test_empty),
                cmocka_unit_test(test_strings),
                cmocka_unit_test(test_too_deep),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
