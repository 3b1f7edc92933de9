/* runtime/processes.c: which of a list are a container's. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "runtime/runtime.h"
#include "util/cleanup.h"

static void test_of_a_container(void **state)
{
        static char a[] = "a", ab[] = "ab", b[] = "b", image[] = "/b";
        struct runtime_process items[] = {
                { .pid = 10, .container = a }, { .pid = 5, .container = ab },
                { .pid = 6, .container = ab }, { .pid = 20, .container = ab },
                { .pid = 7, .container = b },  { .pid = 8, .image = image },
                { .pid = 9 },
        };
        const struct runtime_processes processes = { .items = items, .count = ARRAY_SIZE(items) };
        const struct runtime_processes none = { .items = NULL };
        static const struct {
                const char *container;
                size_t count;
                int first; /* process id */
        } cases[] = {
                { "a", 1, 10 }, { "ab", 3, 5 }, { "b", 1, 7 },
                { "", 0, 0 },   { "abc", 0, 0 }, { "/b", 0, 0 },
        };

        (void)state;
        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                size_t count = 77;
                const struct runtime_process *found =
                        runtime_processes_of(&processes, cases[i].container, &count);

                assert_int_equal(count, cases[i].count);
                assert_int_equal(found ? found->pid : 0, cases[i].first);
                assert_null(runtime_processes_of(&none, cases[i].container, &count));
                assert_int_equal(count, 0);
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_of_a_container),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
