/* runtime/writable.c: what --overlay says, and directories that one start at a time has. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "runtime/container.h"
#include "util/path.h"

static char scratch[] = "/tmp/enroot-test-writable-XXXXXX";

static int set_up(void **state)
{
        (void)state;
        return mkdtemp(scratch) ? 0 : -1;
}

static int tear_down(void **state)
{
        struct error err = ERROR_INIT;

        (void)state;
        return path_remove_tree(AT_FDCWD, scratch, &err);
}

static void test_parse(void **state)
{
        static const struct {
                const char *word, *dir, *size;
                bool refused;
        } cases[] = {
                { "", NULL, NULL, false },
                { "tmpfs", NULL, NULL, false },
                { "tmpfs:1", NULL, "1", false },
                { "tmpfs:20G", NULL, "20G", false },
                { "tmpfs:50%", NULL, "50%", false },
                { "/a/b", "/a/b", NULL, false },
                { "./tmpfs", "./tmpfs", NULL, false },
                { "tmpfsx", "tmpfsx", NULL, false },
                { "tmpfs:", NULL, NULL, true },
                { "tmpfs:g", NULL, NULL, true },
                { "tmpfs:1gg", NULL, NULL, true },
                { "tmpfs:1x", NULL, NULL, true },
                { "tmpfs: 1", NULL, NULL, true },
                { "tmpfs:-1", NULL, NULL, true },
                { "tmpfs:1,mode=777", NULL, NULL, true },
                { "tmpfs:1234567890123456", NULL, NULL, true },
        };

        (void)state;
        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                struct runtime_overlay overlay;
                struct error err = ERROR_INIT;
                int result = runtime_overlay_parse(cases[i].word, &overlay, &err);

                assert_int_equal(result, cases[i].refused ? -1 : 0);
                if (cases[i].refused)
                        continue;
                assert_int_equal(!overlay.dir, !cases[i].dir);
                assert_int_equal(!overlay.size, !cases[i].size);
                if (cases[i].dir)
                        assert_string_equal(overlay.dir, cases[i].dir);
                if (cases[i].size)
                        assert_string_equal(overlay.size, cases[i].size);
        }
}

static void test_open(void **state)
{
        char dir[sizeof(scratch) + sizeof("/a/b")], upper[sizeof(dir) + sizeof("/upper")];
        const struct runtime_overlay memory = { .dir = NULL }, kept = { .dir = dir };
        struct error err = ERROR_INIT;
        struct stat st;
        mode_t mask = umask(077);
        int fd, second;

        (void)state;
        (void)snprintf(dir, sizeof(dir), "%s/a/b", scratch);
        (void)snprintf(upper, sizeof(upper), "%s/upper", dir);
        assert_int_equal(writable_open(&memory, &fd, &err), 0);
        assert_int_equal(fd, -1);

        assert_int_equal(writable_open(&kept, &fd, &err), 0);
        assert_true(fd >= 0);
        assert_int_equal(stat(upper, &st), 0);
        assert_int_equal(st.st_mode & 0777, 0755); /* whatever the umask */
        assert_int_equal(chmod(upper, 0700), 0);

        assert_int_equal(writable_open(&kept, &second, &err), -1);
        assert_int_equal(err.code, EBUSY);
        assert_int_equal(second, -1);
        assert_non_null(strstr(err.message, dir));

        assert_int_equal(close(fd), 0);
        assert_int_equal(writable_open(&kept, &fd, &err), 0);
        assert_int_equal(stat(upper, &st), 0);
        assert_int_equal(st.st_mode & 0777, 0700); /* the container may have changed it */
        assert_int_equal(close(fd), 0);
        (void)umask(mask);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_parse),
                cmocka_unit_test(test_open),
        };

        return cmocka_run_group_tests(tests, set_up, tear_down);
}
