/* unpack/: a tree that is written as a directory while it is merged. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "unpack/unpack.h"
#include "util/cleanup.h"
#include "util/io.h"
#include "util/path.h"

static char scratch[] = "/tmp/enroot-test-writer-XXXXXX";
static int root_fd = -1, stage_fd = -1;

static int set_up(void **state)
{
        int fd;

        (void)state;
        strcpy(scratch + strlen(scratch) - 6, "XXXXXX");
        if (!mkdtemp(scratch))
                return -1;
        fd = open(scratch, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (fd < 0 || mkdirat(fd, "root", 0700) < 0 || mkdirat(fd, "stage", 0700) < 0)
                return -1;
        root_fd = openat(fd, "root", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        stage_fd = openat(fd, "stage", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        (void)close(fd);
        return root_fd < 0 || stage_fd < 0 ? -1 : 0;
}

static int tear_down(void **state)
{
        struct error err = ERROR_INIT;

        (void)state;
        (void)close(root_fd);
        (void)close(stage_fd);
        return path_remove_tree(AT_FDCWD, scratch, &err);
}

static struct dir_writer *open_writer(unsigned int threads)
{
        const struct unpack_options options = { .threads = threads };
        struct error err = ERROR_INIT;
        struct dir_writer *writer = dir_writer_new(root_fd, stage_fd, &options, &err);

        if (!writer)
                fail_msg("%s", err.message);
        return writer;
}

/* Add an entry; content that is asked for is size bytes of c. */
static void add(struct tree *tree, struct dir_writer *writer, const char *path,
                struct entry_meta meta, char c)
{
        auto_cleanup(entry_release) struct entry entry = { .path = strdup(path), .meta = meta };
        auto_free char *content = malloc(meta.size + 1);
        struct tree_inode *file = NULL;
        struct error err = ERROR_INIT;

        assert_non_null(content);
        memset(content, c, meta.size);
        if (meta.target)
                entry.meta.target = strdup(meta.target);
        if (tree_add(tree, &entry, &file, &err) < 0)
                fail_msg("%s", err.message);
        if (!file)
                return;
        if (dir_writer_begin_file(writer, file, &err) < 0 ||
            dir_writer_append(writer, content, meta.size / 2, 0, &err) < 0 ||
            dir_writer_append(writer, content + meta.size / 2, meta.size - meta.size / 2,
                              meta.size / 2, &err) < 0 ||
            dir_writer_end_file(writer, &err) < 0)
                fail_msg("%s: %s", path, err.message);
}

static void expect_file(const char *path, mode_t mode, off_t size, nlink_t links, char c)
{
        auto_strbuf struct strbuf text = STRBUF_INIT;
        struct error err = ERROR_INIT;
        struct stat st;

        assert_int_equal(fstatat(root_fd, path, &st, AT_SYMLINK_NOFOLLOW), 0);
        assert_int_equal(st.st_mode, S_IFREG | mode);
        assert_int_equal(st.st_size, size);
        assert_int_equal(st.st_nlink, links);
        assert_int_equal(st.st_mtime, 1000);
        assert_int_equal(io_read_file(root_fd, path, 1u << 24, &text, &err), 0);
        for (off_t i = 0; i < size; i++)
                if (text.data[i] != c)
                        fail_msg("%s: other content at %jd", path, (intmax_t)i);
}

#define FILE_META(m, s)                                                                            \
        ((struct entry_meta){ .type = ENTRY_FILE, .mode = m, .mtime = 1000, .size = s })
#define DIR_META(m) ((struct entry_meta){ .type = ENTRY_DIRECTORY, .mode = m, .mtime = 1000 })

static void write_tree(unsigned int threads)
{
        struct error err = ERROR_INIT;
        auto_tree struct tree *tree = tree_new(&err);
        auto_dir_writer struct dir_writer *writer = open_writer(threads);
        struct stat st;
        char path[64];

        assert_int_equal(tree_begin_layer(tree, &err), 0);
        add(tree, writer, "d", DIR_META(0), 0);
        add(tree, writer, "d/replaced", FILE_META(0644, 10), 'x');
        add(tree, writer, "d/replaced", FILE_META(0600, 20), 'y');
        add(tree, writer, "large", FILE_META(0, 3000000), 'l');
        add(tree, writer, "empty", FILE_META(04755, 0), 0);
        add(tree, writer, "gone/file", FILE_META(0644, 5), 'g');
        add(tree, writer, "gone", FILE_META(0644, 6), 'f');
        add(tree, writer, "d/link",
            (struct entry_meta){ .type = ENTRY_HARDLINK, .target = (char *)"large" }, 0);
        add(tree, writer, "sym",
            (struct entry_meta){ .type = ENTRY_SYMLINK, .mtime = 1000, .target = (char *)"/etc" },
            0);
        add(tree, writer, "sym2",
            (struct entry_meta){ .type = ENTRY_HARDLINK, .target = (char *)"sym" }, 0);
        add(tree, writer, "device", (struct entry_meta){ .type = ENTRY_CHAR_DEVICE }, 0);
        for (int i = 0; i < 5000; i++) {
                (void)snprintf(path, sizeof(path), "many/%d", i);
                add(tree, writer, path, FILE_META(0644, (uint64_t)i % 3000), 'm');
        }
        assert_int_equal(tree_begin_layer(tree, &err), 0);
        add(tree, writer, "large", FILE_META(0644, 7), 'n');
        add(tree, writer, "below", FILE_META(0644, 7), 'b');
        assert_int_equal(tree_finish(tree, 1000, &err), 0);
        if (dir_writer_finish(writer, tree, &err) < 0)
                fail_msg("%s", err.message);

        expect_file("d/replaced", 0600, 20, 1, 'y');
        /* One name more is on the stage. */
        expect_file("large", 0400, 3000000, 3, 'l');
        expect_file("d/link", 0400, 3000000, 3, 'l');
        expect_file("empty", 04755, 0, 1, 0);
        expect_file("gone", 0644, 6, 1, 'f');
        expect_file("below", 0644, 7, 1, 'b');
        expect_file("many/4999", 0644, 1999, 1, 'm');
        assert_int_equal(fstatat(root_fd, "d", &st, 0), 0);
        assert_int_equal(st.st_mode, S_IFDIR | 0700);
        assert_int_equal(st.st_mtime, 1000);
        assert_int_equal(fstatat(root_fd, "sym2", &st, AT_SYMLINK_NOFOLLOW), 0);
        assert_true(S_ISLNK(st.st_mode));
        assert_int_equal(st.st_nlink, 3); /* and the one on the stage */
        assert_int_equal(faccessat(root_fd, "device", F_OK, 0), -1);
}

static void test_alone(void **state)
{
        (void)state;
        write_tree(1);
}

static void test_threads(void **state)
{
        (void)state;
        write_tree(6);
}

static void test_lengths(void **state)
{
        static const uint64_t sizes[] = { 10, 1000000 };

        (void)state;
        for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
                struct tree_inode file = { .meta = FILE_META(0644, sizes[i]) };
                auto_dir_writer struct dir_writer *writer = open_writer(2);
                struct error err = ERROR_INIT;

                (void)unlinkat(stage_fd, "0/0", 0);
                (void)unlinkat(stage_fd, "0", AT_REMOVEDIR);
                assert_int_equal(dir_writer_begin_file(writer, &file, &err), 0);
                assert_int_equal(dir_writer_append(writer, "12345", 5, 0, &err), 0);
                assert_int_equal(dir_writer_append(writer, "1", 1, 4, &err), -1);
                assert_int_equal(dir_writer_append(writer, "1", 1, sizes[i], &err), -1);
                assert_int_equal(dir_writer_end_file(writer, &err), -1);
                assert_int_equal(err.code, EMSGSIZE);
        }
}

/* A name on the stage that is taken fails the write, wherever that happens. */
static void test_failed_write(void **state)
{
        (void)state;
        assert_int_equal(mkdirat(stage_fd, "0", 0700), 0);
        for (unsigned int threads = 1; threads < 6; threads += 4) {
                struct tree_inode file = { .meta = FILE_META(0644, 3) };
                auto_dir_writer struct dir_writer *writer = open_writer(threads);
                struct error err = ERROR_INIT;

                assert_int_equal(dir_writer_begin_file(writer, &file, &err), -1);
                assert_int_equal(err.code, EEXIST);
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(test_alone, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_threads, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_lengths, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_failed_write, set_up, tear_down),
        };

        return cmocka_run_group_tests_name("dir_writer", tests, NULL, NULL);
}
