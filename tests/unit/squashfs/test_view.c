/* squashfs/view.c: paths in an image, links and their limits included. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
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

#include "image_builder.h"
#include "util/cleanup.h"

static char image_path[] = "/tmp/enroot-test-view-XXXXXX";
static int image_fd = -1;
static struct squashfs_image *image;
static struct root_view view;

static void add_link(struct image_builder *builder, const char *path, const char *target)
{
        struct entry_meta meta = { .type = ENTRY_SYMLINK, .mode = 0777, .target = (char *)target };

        builder_add(builder, path, &meta, NULL);
}

static int set_up(void **state)
{
        const struct entry_meta fifo = { .type = ENTRY_FIFO, .mode = 0600 };
        const struct entry_meta program = { .type = ENTRY_FILE, .mode = 0755, .size = 1 };
        struct image_builder builder;
        struct error err = ERROR_INIT;
        int fd = mkstemp(image_path);

        (void)state;
        if (fd < 0 || close(fd) < 0 || !builder_start(&builder, image_path, "-comp gzip"))
                return -1;
        builder_directory(&builder, "etc");
        builder_directory(&builder, "etc/deep");
        builder_file(&builder, "etc/file", "content", 7);
        builder_file(&builder, "etc/empty", "", 0);
        builder_add(&builder, "etc/fifo", &fifo, NULL);
        builder_add(&builder, "etc/program", &program, "x");
        add_link(&builder, "etc/relative", "file");
        add_link(&builder, "etc/up", "../../../../etc/deep/../relative");
        add_link(&builder, "etc/absolute", "/etc/file");
        add_link(&builder, "etc/loop", "loop");
        add_link(&builder, "etc/dangling", "/nowhere/at/all");
        add_link(&builder, "link", "etc");
        add_link(&builder, "self", ".");
        builder_finish(&builder);
        builder_end(&builder);
        image_fd = open(image_path, O_RDONLY | O_CLOEXEC);
        image = squashfs_open(image_fd, image_path, &err);
        if (!image)
                return -1;
        view = squashfs_view(image);
        return 0;
}

static int tear_down(void **state)
{
        (void)state;
        squashfs_close(image);
        (void)close(image_fd);
        return unlink(image_path);
}

static void test_paths(void **state)
{
        static const struct {
                const char *path;
                int code; /* 0: it can be read */
        } cases[] = {
                { "/etc/file", 0 },
                { "etc/file", 0 },
                { "//etc/./deep/..//file", 0 },
                { "/../../etc/file", 0 },
                { "/etc/relative", 0 },
                { "/etc/up", 0 },
                { "/etc/absolute", 0 },
                { "/link/absolute", 0 },
                { "/self/self/self/link/up", 0 },
                { "/etc/loop", ELOOP },
                { "/etc/dangling", ENOENT },
                { "/etc/missing", ENOENT },
                { "/etc/file/more", ENOTDIR },
                { "/etc", EINVAL },
                { "/", EINVAL },
                { "", EINVAL },
                { "/etc/fifo", EINVAL },
        };

        (void)state;
        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                auto_strbuf struct strbuf text = STRBUF_INIT;
                struct error err = ERROR_INIT;
                int result = view.read(&view, cases[i].path, 100, &text, &err);

                if (err.code != cases[i].code)
                        print_error("%s: %d %s\n", cases[i].path, err.code, err.message);
                assert_int_equal(err.code, cases[i].code);
                assert_int_equal(result, cases[i].code ? -1 : 0);
                if (result == 0)
                        assert_string_equal(strbuf_text(&text), "content");
        }
}

static void test_limits(void **state)
{
        auto_strbuf struct strbuf text = STRBUF_INIT;
        auto_strbuf struct strbuf path = STRBUF_INIT;
        struct error err = ERROR_INIT;
        mode_t mode;

        (void)state;
        assert_int_equal(view.read(&view, "/etc/file", 6, &text, &err), -1);
        assert_int_equal(err.code, EFBIG);
        assert_int_equal(view.read(&view, "/etc/empty", 0, &text, &err), 0);
        assert_int_equal(text.length, 0);

        for (int i = 0; i < NAME_MAX + 1; i++)
                strbuf_append_char(&path, 'a');
        assert_int_equal(view.mode(&view, path.data, &mode), -1);
        assert_int_equal(errno, ENAMETOOLONG);
        strbuf_reset(&path);
        for (int i = 0; i <= 40; i++)
                strbuf_append(&path, "/self");
        assert_int_equal(view.mode(&view, path.data, &mode), -1);
        assert_int_equal(errno, ELOOP);
}

static void test_modes_and_links(void **state)
{
        auto_free char *target = view.readlink(&view, "/link/up");
        mode_t mode;

        (void)state;
        assert_string_equal(target, "../../../../etc/deep/../relative");
        assert_null(view.readlink(&view, "/etc/file"));
        assert_int_equal(errno, EINVAL);
        assert_null(view.readlink(&view, "/etc/missing"));
        assert_int_equal(errno, ENOENT);
        assert_int_equal(view.mode(&view, "/etc/fifo", &mode), 0);
        assert_int_equal(mode, S_IFIFO | 0600);
        assert_int_equal(view.mode(&view, "/", &mode), 0);
        assert_true(S_ISDIR(mode));
        assert_true(root_view_exists(&view, "/etc/up"));
        assert_false(root_view_exists(&view, "/etc/dangling"));
        assert_true(root_view_is_executable(&view, "/etc/program"));
        assert_false(root_view_is_executable(&view, "etc/program"));
        assert_false(root_view_is_executable(&view, "/etc/file"));
        assert_false(root_view_is_executable(&view, "/etc/deep"));
        assert_false(root_view_is_executable(&view, NULL));
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_paths),
                cmocka_unit_test(test_limits),
                cmocka_unit_test(test_modes_and_links),
        };

        return cmocka_run_group_tests(tests, set_up, tear_down);
}
