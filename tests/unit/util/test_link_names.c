/* util/: first names of hard links. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <stdio.h>

#include "util/link_names.h"

static void test_many(void **state)
{
        struct link_names names = LINK_NAMES_INIT;
        struct error err = ERROR_INIT;
        const char *first;
        char path[32];

        (void)state;
        for (int round = 0; round < 2; round++) {
                for (uint64_t i = 0; i < 20000; i++) {
                        /* Near each other, and with nothing but high bits. */
                        uint64_t inode = i % 2 ? i : i << 40;

                        (void)snprintf(path, sizeof(path), "%d/%d", round, (int)i);
                        assert_int_equal(link_names_note(&names, inode, path, &first, &err), 0);
                        if (round == 0) {
                                assert_null(first);
                                continue;
                        }
                        path[0] = '0';
                        assert_string_equal(first, path);
                }
        }
        link_names_release(&names);
        assert_int_equal(link_names_note(&names, 1, "again", &first, &err), 0);
        assert_null(first);
        link_names_release(&names);
}

int main(void)
{
        const struct CMUnitTest tests[] = { cmocka_unit_test(test_many) };

        return cmocka_run_group_tests_name("util link_names", tests, NULL, NULL);
}
