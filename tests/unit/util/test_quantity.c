/* Amounts as people write them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "util/cleanup.h"
#include "util/quantity.h"

static void test_numbers(void **state)
{
        static const struct {
                const char *text, *suffixes;
                uint64_t value;
        } good[] = {
                { "0", "", 0 },
                { "12", "KMG", 12 },
                { "128k", "KM", 131072 },
                { "3M", "KM", 3145728 },
                { "2T", "KMGT", UINT64_C(2) << 40 },
                { "18446744073709551615", "", UINT64_MAX },
        };
        static const struct {
                const char *text, *suffixes;
        } bad[] = {
                { "", "K" },   { "K", "K" },  { "-1", "K" }, { " 1", "K" },          { "1KB", "K" },
                { "1G", "K" }, { "1 K", "K" }, { "1.5G", "G" }, { "1K", "" },
                { "18446744073709551616", "" }, { "18446744073709551615K", "K" },
        };
        uint64_t value;

        (void)state;
        for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
                assert_int_equal(quantity_parse(good[i].text, good[i].suffixes, &value), 0);
                assert_true(value == good[i].value);
        }
        for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
                assert_int_equal(quantity_parse(bad[i].text, bad[i].suffixes, &value), -1);
}

static void test_times(void **state)
{
        static const struct {
                const char *text;
                int64_t seconds;
        } good[] = {
                { "90s", 90 },      { "15m", 900 },    { "12h", 43200 },
                { "30d", 2592000 }, { "2w", 1209600 },
        };
        static const char *const bad[] = {
                "", "30", "d", "1y", "1dd", "-1d", "99999999999999999w"
        };
        int64_t seconds;

        (void)state;
        for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
                assert_int_equal(quantity_parse_time(good[i].text, &seconds), 0);
                assert_int_equal(seconds, good[i].seconds);
        }
        for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
                assert_int_equal(quantity_parse_time(bad[i], &seconds), -1);
}

static void test_sizes(void **state)
{
        static const struct {
                uint64_t bytes;
                const char *text;
        } cases[] = {
                { 0, "0 B" },
                { 999, "999 B" },
                { 1200, "1.2 kB" },
                { 1990000000, "2.0 GB" },
                { UINT64_MAX, "18.4 EB" },
        };
        char text[QUANTITY_SIZE];

        (void)state;
        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                quantity_format_size(cases[i].bytes, text);
                assert_string_equal(text, cases[i].text);
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_numbers),
                cmocka_unit_test(test_times),
                cmocka_unit_test(test_sizes),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
