/* runtime/id_map.c: the lines of subuid(5) as maps. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "runtime/id_map.h"
#include "util/cleanup.h"
#include "util/strbuf.h"

static void print_map(const struct id_map *map, struct strbuf *text)
{
        strbuf_reset(text);
        for (size_t i = 0; i < map->count; i++)
                strbuf_printf(text, "%s%u:%u:%u", i > 0 ? " " : "", map->ranges[i].inside,
                              map->ranges[i].outside, map->ranges[i].count);
}

/* The text for user "u" (1000): for root inside, and for himself. */
static void test_maps(void **state)
{
        static const struct {
                const char *text, *root, *himself;
        } cases[] = {
                { "u:100000:65536\n", "0:1000:1 1:100000:65536",
                  "1000:1000:1 1:100000:999 0:100999:1 1001:101000:64536" },
                { "1000:100000:10\n", "0:1000:1 1:100000:10", "1000:1000:1 1:100000:9 0:100009:1" },
                /* The own id granted as well, as other runtimes want it, or inside a range. */
                { "u:1000:1\nu:100001:65535\n", "0:1000:1 1:100001:65535",
                  "1000:1000:1 1:100001:999 0:101000:1 1001:101001:64535" },
                { "u:999:3", "0:1000:1 1:999:1 2:1001:1", "1000:1000:1 1:999:1 0:1001:1" },
                /* Several ranges, of others, by name and number, twice and overlapping. */
                { "v:5000:10\nu:7000:2\nuu:6000:9\n1000:8000:3\nu:7000:2\n",
                  "0:1000:1 1:7000:2 3:8000:3", "1000:1000:1 1:7000:2 3:8000:2 0:8002:1" },
                { "u:10:5\nu:12:5\nu:8:20\n", "0:1000:1 1:10:5 6:15:2 8:8:2 10:17:11",
                  "1000:1000:1 1:10:5 6:15:2 8:8:2 10:17:10 0:27:1" },
                { "u:50:1\n", "0:1000:1 1:50:1", "1000:1000:1 0:50:1" },
                /* None, or lines that are none. */
                { "", "0:1000:1", "1000:1000:1" },
                { "\n\n:1:1\nu\nu:\nu:1\nu:1:\nu::5\nu:-1:5\nu:1:5x\nu:1:5:\nu: 1:5\nu:1:0\n"
                  "u:4294967296:1\nu:1:4294967296\nu:4294967295:1\nu:4294967294:2\n"
                  "u:99999999999999999999:1\nu:0x10:1\n",
                  "0:1000:1", "1000:1000:1" },
                { "u:4294967294:1\n", "0:1000:1 1:4294967294:1", "1000:1000:1 0:4294967294:1" },
        };
        auto_strbuf struct strbuf text = STRBUF_INIT;
        struct id_map map;

        (void)state;
        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                id_map_read(&map, cases[i].text, "u", 1000, 1000);
                print_map(&map, &text);
                assert_string_equal(strbuf_text(&text), cases[i].root);
                id_map_keep_own(&map, 1000);
                print_map(&map, &text);
                assert_string_equal(strbuf_text(&text), cases[i].himself);
        }
}

static void test_users_without_a_name(void **state)
{
        struct id_map map;

        (void)state;
        id_map_read(&map, "1000:5:5\nu:50:50\n", NULL, 1000, 20);
        assert_int_equal(map.end, 6);
        assert_int_equal(map.ranges[0].outside, 20);
        /* Root stays root either way. */
        id_map_read(&map, "root:5:5\n", "root", 0, 0);
        id_map_keep_own(&map, 0);
        assert_int_equal(map.count, 2);
        assert_int_equal(map.ranges[0].inside, 0);
}

static void test_the_number_of_ranges_is_bounded(void **state)
{
        auto_strbuf struct strbuf text = STRBUF_INIT;
        struct id_map map;

        (void)state;
        for (int i = 0; i < 1000; i++)
                strbuf_printf(&text, "u:%d:2\n", 100000 + 10 * i);
        id_map_read(&map, strbuf_text(&text), "u", 1000, 1000);
        assert_int_equal(map.count, ID_MAP_RANGES_MAX + 1);
        assert_int_equal(map.end, 1 + 2 * ID_MAP_RANGES_MAX);
        id_map_keep_own(&map, 10);
        assert_true(map.count <= ARRAY_SIZE(map.ranges));
}

static void test_free_ids(void **state)
{
        (void)state;
        assert_int_equal(subid_first_free(""), 100000);
        assert_int_equal(subid_first_free("a:100000:65536\nb:500:7\nbad\nc:165536:10\n"), 165546);
        assert_int_equal(subid_first_free("a:4294900000:60000\n"), 100000);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_maps),
                cmocka_unit_test(test_users_without_a_name),
                cmocka_unit_test(test_the_number_of_ranges_is_bounded),
                cmocka_unit_test(test_free_ids),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
