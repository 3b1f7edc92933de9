/* util/: paths beneath a descriptor, files that appear complete, strings. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "util/cleanup.h"
#include "util/io.h"
#include "util/path.h"
#include "util/name_service.h"
#include "util/sha256.h"
#include "util/strlist.h"
#include "util/temp_dir.h"
#include "util/temp_file.h"

static char scratch[] = "/tmp/enroot-test-util-XXXXXX";
static int root_fd = -1;

static int set_up(void **state)
{
        (void)state;
        strcpy(scratch + strlen(scratch) - 6, "XXXXXX");
        if (!mkdtemp(scratch))
                return -1;
        root_fd = open(scratch, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        return root_fd < 0 ? -1 : 0;
}

static int tear_down(void **state)
{
        struct error err = ERROR_INIT;

        (void)state;
        (void)close(root_fd);
        return path_remove_tree(AT_FDCWD, scratch, &err);
}

static void write_file(const char *path, const char *text)
{
        auto_close int fd = openat(root_fd, path, O_WRONLY | O_CREAT | O_TRUNC, 0644);

        assert_true(fd >= 0);
        assert_int_equal(io_write_full(fd, text, strlen(text)), 0);
}

static void test_normalize(void **state)
{
        static const struct {
                const char *path, *expected;
        } cases[] = {
                { "", "" }, { "/", "" }, { "./", "" }, { "a//b/./c/", "a/b/c" },
                { "../../etc/passwd", "etc/passwd" }, { "a/b/../c", "a/c" },
                { "a/../../b", "b" }, { "/abs/olute", "abs/olute" }, { "..", "" },
        };
        auto_strbuf struct strbuf result = STRBUF_INIT;

        (void)state;
        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                assert_int_equal(path_normalize(cases[i].path, &result), 0);
                assert_string_equal(strbuf_text(&result), cases[i].expected);
        }
}

/* Links that lead out of the root end inside it. */
static void test_links_stay_inside(void **state)
{
        struct stat inside, opened;

        (void)state;
        assert_int_equal(mkdirat(root_fd, "etc", 0755), 0);
        write_file("etc/passwd", "inside");
        assert_int_equal(fstatat(root_fd, "etc/passwd", &inside, 0), 0);
        assert_int_equal(symlinkat("/etc", root_fd, "absolute"), 0);
        assert_int_equal(symlinkat("../../../../etc", root_fd, "relative"), 0);
        assert_int_equal(symlinkat("loop", root_fd, "loop"), 0);

        static const char *const paths[] = { "absolute/passwd", "relative/passwd",
                                             "/../../etc/passwd" };
        for (size_t i = 0; i < ARRAY_SIZE(paths); i++) {
                auto_close int fd = path_open_in_root(root_fd, paths[i], O_RDONLY, 0);

                assert_true(fd >= 0);
                assert_int_equal(fstat(fd, &opened), 0);
                assert_int_equal(opened.st_ino, inside.st_ino);
        }
        assert_int_equal(path_open_in_root(root_fd, "loop/x", O_RDONLY, 0), -1);
        assert_int_equal(errno, ELOOP);
}

static void test_make_dirs_follows_links_inside(void **state)
{
        struct stat st;
        auto_close int fd = -1;

        (void)state;
        assert_int_equal(symlinkat("/run", root_fd, "var-run"), 0);
        fd = path_make_dirs(root_fd, "var-run/lock/x", 0755);
        assert_true(fd >= 0);
        assert_int_equal(fstatat(root_fd, "run/lock/x", &st, 0), 0);
        assert_true(S_ISDIR(st.st_mode));
}

static void test_open_parent(void **state)
{
        char name[256];
        auto_close int fd = -1, root = -1;
        struct stat st;

        (void)state;
        fd = path_open_parent(root_fd, "new/dir/file", true, name);
        assert_true(fd >= 0);
        assert_string_equal(name, "file");
        assert_int_equal(fstatat(root_fd, "new/dir", &st, 0), 0);
        root = path_open_parent(root_fd, "/", false, name);
        assert_true(root >= 0);
        assert_string_equal(name, ".");
        assert_int_equal(path_open_parent(root_fd, "missing/file", false, name), -1);
        assert_int_equal(errno, ENOENT);
}

static void test_temp_file(void **state)
{
        struct error err = ERROR_INIT;
        auto_strbuf struct strbuf text = STRBUF_INIT;

        (void)state;
        {
                auto_discard struct temp_file temp = TEMP_FILE_INIT;

                assert_int_equal(temp_file_create(&temp, root_fd, "out", 0644, &err), 0);
                assert_int_equal(io_write_full(temp.fd, "one", 3), 0);
                assert_int_equal(faccessat(root_fd, "out", F_OK, 0), -1);
                assert_int_equal(temp_file_publish(&temp, "out", false, &err), 0);
        }
        {
                auto_discard struct temp_file temp = TEMP_FILE_INIT;

                assert_int_equal(temp_file_create(&temp, root_fd, "out", 0644, &err), 0);
                assert_int_equal(io_write_full(temp.fd, "two", 3), 0);
                assert_int_equal(temp_file_publish(&temp, "out", false, &err), -1);
                assert_int_equal(err.code, EEXIST);
                assert_int_equal(temp_file_publish(&temp, "out", true, &err), 0);
        }
        assert_int_equal(io_read_file(root_fd, "out", 100, &text, &err), 0);
        assert_string_equal(text.data, "two");
}

static void make_temp_dir(struct temp_dir *dir, const char *content)
{
        struct error err = ERROR_INIT;
        auto_close int fd = -1;

        assert_int_equal(temp_dir_create(dir, root_fd, "out", 0755, &err), 0);
        fd = openat(dir->fd, content, O_WRONLY | O_CREAT, 0644);
        assert_true(fd >= 0);
}

static void test_temp_dir(void **state)
{
        struct error err = ERROR_INIT;

        (void)state;
        {
                auto_temp_dir struct temp_dir abandoned = TEMP_DIR_INIT;
                auto_temp_dir struct temp_dir first = TEMP_DIR_INIT;
                auto_temp_dir struct temp_dir second = TEMP_DIR_INIT;

                make_temp_dir(&abandoned, "never");
                make_temp_dir(&first, "one");
                assert_int_equal(faccessat(root_fd, "out", F_OK, 0), -1);
                assert_int_equal(temp_dir_publish(&first, "out", false, &err), 0);

                make_temp_dir(&second, "two");
                assert_int_equal(temp_dir_publish(&second, "out", false, &err), -1);
                assert_int_equal(err.code, EEXIST);
                assert_int_equal(faccessat(root_fd, "out/one", F_OK, 0), 0);
                assert_int_equal(temp_dir_publish(&second, "out", true, &err), 0);
        }
        assert_int_equal(faccessat(root_fd, "out/two", F_OK, 0), 0);
        assert_int_equal(faccessat(root_fd, "out/one", F_OK, 0), -1);

        /* The replaced directory and the abandoned one are gone: "out" stands alone. */
        assert_int_equal(path_remove_tree(root_fd, "out", &err), 0);
        assert_int_equal(rmdir(scratch), 0);
        assert_int_equal(mkdir(scratch, 0700), 0);
}

static void test_remove_tree(void **state)
{
        struct error err = ERROR_INIT;

        (void)state;
        assert_int_equal(mkdirat(root_fd, "tree", 0755), 0);
        assert_int_equal(mkdirat(root_fd, "tree/closed", 0755), 0);
        write_file("tree/closed/file", "x");
        write_file("kept", "x");
        assert_int_equal(symlinkat("../kept", root_fd, "tree/link"), 0);
        assert_int_equal(fchmodat(root_fd, "tree/closed", 0, 0), 0);
        assert_int_equal(path_remove_tree(root_fd, "tree", &err), 0);
        assert_int_equal(faccessat(root_fd, "tree", F_OK, 0), -1);
        assert_int_equal(faccessat(root_fd, "kept", F_OK, 0), 0);
        assert_int_equal(path_remove_tree(root_fd, "missing", &err), 0);
}

static void test_find_program(void **state)
{
        static const struct {
                const char *program, *list, *path;
        } cases[] = {
                { "sh", "/nowhere:/bin", "/bin/sh" },
                { "sh", "/bin", "/bin/sh" },
                { "sh", "::/bin:", "/bin/sh" },
                { "sh", "bin:./bin:../../../../../../../../bin", NULL },
                { "passwd", "/etc", NULL }, /* may not be executed */
                { "no-such-program", "/bin:/usr/bin", NULL },
                { "sh", "", NULL },
        };

        (void)state;
        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                auto_free char *found = path_find_program(cases[i].program, cases[i].list);

                assert_int_equal(found != NULL, cases[i].path != NULL);
                if (found)
                        assert_string_equal(found, cases[i].path);
        }
}

static void test_sha256(void **state)
{
        char hex[SHA256_HEX_SIZE];
        struct error err = ERROR_INIT;

        (void)state;
        assert_int_equal(sha256_of("abc", 3, hex, &err), 0);
        assert_string_equal(hex,
                            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

static void test_sha256_text(void **state)
{
        static const char digits[] =
                "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";
        static const char *const wrong[] = {
                "",
                "00",
                "00112233445566778899aabbccddeeff00112233445566778899aabbccddeef",
                "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff0",
                "00112233445566778899aabbccddeeff00112233445566778899aabbccddeefg",
                "g0112233445566778899aabbccddeeff00112233445566778899aabbccddeeff",
                "00112233445566778899AABBCCDDEEFF00112233445566778899AABBCCDDEEFF",
                " 0112233445566778899aabbccddeeff00112233445566778899aabbccddeeff",
                "sha256:00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff",
        };
        unsigned char raw[SHA256_SIZE];
        char hex[SHA256_HEX_SIZE];

        (void)state;
        assert_int_equal(sha256_parse(digits, raw), 0);
        for (size_t i = 0; i < SHA256_SIZE; i++)
                assert_int_equal(raw[i], i % 16 * 0x11);
        sha256_print(raw, hex);
        assert_string_equal(hex, digits);
        for (size_t i = 0; i < ARRAY_SIZE(wrong); i++)
                if (sha256_parse(wrong[i], raw) == 0)
                        fail_msg("%s", wrong[i]);
        sha256_print(raw, hex);
        assert_string_equal(hex, digits); /* what is wrong has written nothing */
}

/* Root is in the files of every machine; other ids may be a matter of its name service. */
static void test_name_service(void **state)
{
        const struct passwd *user = name_service_user(0);
        const struct group *group = name_service_group(0);

        (void)state;
        assert_non_null(user);
        assert_string_equal(user->pw_name, "root");
        assert_int_equal(user->pw_uid, 0);
        assert_non_null(group);
        assert_string_equal(group->gr_name, "root");
        assert_null(name_service_user(4294000001u));
        assert_null(name_service_group(4294000001u));
}

static void test_error_order(void **state)
{
        struct error err = ERROR_INIT;

        (void)state;
        assert_int_equal(error_set(&err, EIO, "inner %d", 1), -1);
        error_prefix(&err, "outer");
        error_append(&err, "; do this");
        assert_string_equal(err.message, "outer: inner 1; do this");
        assert_int_equal(err.code, EIO);
}

static void test_strlist(void **state)
{
        auto_strlist struct strlist list = STRLIST_INIT;

        (void)state;
        assert_int_equal(strlist_append(&list, "b"), 0);
        assert_int_equal(strlist_append_mem(&list, "cxx", 1), 0);
        assert_int_equal(strlist_append(&list, "a"), 0);
        strlist_sort(&list);
        strlist_remove(&list, 1);
        assert_int_equal(list.count, 2);
        assert_string_equal(list.items[0], "a");
        assert_string_equal(list.items[1], "c");
        assert_null(list.items[2]);
        assert_false(strlist_contains(&list, "b"));
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_normalize),
                cmocka_unit_test_setup_teardown(test_links_stay_inside, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_make_dirs_follows_links_inside, set_up,
                                                tear_down),
                cmocka_unit_test_setup_teardown(test_open_parent, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_temp_file, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_temp_dir, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_remove_tree, set_up, tear_down),
                cmocka_unit_test(test_find_program),
                cmocka_unit_test(test_sha256),
                cmocka_unit_test(test_sha256_text),
                cmocka_unit_test(test_name_service),
                cmocka_unit_test(test_error_order),
                cmocka_unit_test(test_strlist),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
