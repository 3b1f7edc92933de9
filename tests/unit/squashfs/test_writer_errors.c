/* squashfs/ writer: misuse, limits, and disks that are full. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "squashfs/squashfs.h"
#include "util/cleanup.h"

#include "image_builder.h"

struct fixture {
        int fd;
        struct squashfs_writer *writer;
        struct tree *tree;
        struct error err;
};

static void start(struct fixture *fixture, int fd, const char *words)
{
        struct squashfs_options options;

        *fixture = (struct fixture){ .fd = fd };
        assert_true(fixture->fd >= 0);
        assert_int_equal(squashfs_options_parse(words, &options, NULL, &fixture->err), 0);
        fixture->writer = squashfs_writer_new(fixture->fd, &options, &fixture->err);
        fixture->tree = tree_new(&fixture->err);
        assert_non_null(fixture->tree);
        assert_int_equal(tree_begin_layer(fixture->tree, &fixture->err), 0);
}

static void start_in_memory(struct fixture *fixture, const char *words)
{
        start(fixture, memfd_create("image", MFD_CLOEXEC), words);
        assert_non_null(fixture->writer);
}

static void end(struct fixture *fixture)
{
        squashfs_writer_free(fixture->writer);
        tree_free(fixture->tree);
        (void)close(fixture->fd);
}

static int add(struct fixture *fixture, const char *path, const struct entry_meta *meta,
               struct tree_inode **ret)
{
        struct entry entry = { .path = strdup(path), .meta = *meta };
        int result;

        entry.meta.target = meta->target ? strdup(meta->target) : NULL;
        result = tree_add(fixture->tree, &entry, ret, &fixture->err);
        entry_release(&entry);
        return result;
}

static struct tree_inode *add_file(struct fixture *fixture, const char *path, uint64_t size)
{
        struct tree_inode *file = NULL;

        assert_int_equal(add(fixture, path,
                             &(struct entry_meta){ .type = ENTRY_FILE, .mode = 0644, .size = size },
                             &file),
                         0);
        assert_non_null(file);
        return file;
}

static int finish(struct fixture *fixture)
{
        assert_int_equal(tree_finish(fixture->tree, 0, &fixture->err), 0);
        return squashfs_writer_finish(fixture->writer, fixture->tree, NULL, &fixture->err);
}

static void test_wrong_sizes(void **state)
{
        static const uint64_t sizes[] = { 100, 128 << 10, 300000 };
        auto_free char *content = make_content(400000, 1);

        (void)state;
        for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
                struct fixture f;
                struct tree_inode *file;

                start_in_memory(&f, "");
                file = add_file(&f, "file", sizes[i]);
                assert_int_equal(squashfs_writer_begin_file(f.writer, file, &f.err), 0);
                assert_int_equal(squashfs_writer_append(f.writer, content, sizes[i] - 1, 0, &f.err),
                                 0);
                assert_int_equal(squashfs_writer_append(f.writer, content, 2, sizes[i] - 1, &f.err),
                                 -1);
                assert_int_equal(f.err.code, EMSGSIZE);
                assert_int_equal(squashfs_writer_append(f.writer, content, 0, sizes[i] + 1, &f.err),
                                 -1);
                assert_int_equal(f.err.code, EMSGSIZE);
                assert_int_equal(squashfs_writer_append(f.writer, content, 1, 5, &f.err), -1);
                assert_int_equal(f.err.code, EINVAL);
                assert_int_equal(squashfs_writer_end_file(f.writer, &f.err), -1);
                assert_int_equal(f.err.code, EMSGSIZE);
                assert_int_equal(finish(&f), -1);
                end(&f);
        }
}

static void test_wrong_order(void **state)
{
        struct tree_inode *first, *second;
        struct fixture f;

        (void)state;
        start_in_memory(&f, "");
        first = add_file(&f, "first", 10);
        second = add_file(&f, "second", 10);
        assert_int_equal(squashfs_writer_append(f.writer, "x", 1, 0, &f.err), -1);
        assert_int_equal(squashfs_writer_end_file(f.writer, &f.err), -1);
        assert_int_equal(squashfs_writer_begin_file(f.writer, first, &f.err), 0);
        assert_int_equal(squashfs_writer_begin_file(f.writer, second, &f.err), -1);
        assert_int_equal(squashfs_writer_append(f.writer, "0123456789", 10, 0, &f.err), 0);
        assert_int_equal(squashfs_writer_end_file(f.writer, &f.err), 0);
        assert_int_equal(finish(&f), -1);
        assert_non_null(strstr(f.err.message, "/second: the content was not stored"));
        end(&f);
}

static void test_bad_options(void **state)
{
        struct squashfs_options options;
        struct error err = ERROR_INIT;

        (void)state;
        assert_int_equal(squashfs_options_parse("", &options, NULL, &err), 0);
        options.block_size = 100000;
        assert_null(squashfs_writer_new(1, &options, &err));
        assert_int_equal(err.code, EINVAL);
        options.block_size = 4096;
        options.compressor = 99;
        assert_null(squashfs_writer_new(1, &options, &err));
        assert_int_equal(err.code, EINVAL);
        options.compressor = 6;
        options.level = 99;
        assert_null(squashfs_writer_new(1, &options, &err));
        assert_int_equal(err.code, EOPNOTSUPP);
        squashfs_writer_free(NULL);
}

static void test_limits(void **state)
{
        auto_free char *target = calloc(1, 5000);
        struct tree_inode *file;
        struct entry_meta *meta;
        char *own;
        struct fixture f;

        (void)state;
        start_in_memory(&f, "");
        file = add_file(&f, "huge", (uint64_t)1 << 62);
        assert_int_equal(squashfs_writer_begin_file(f.writer, file, &f.err), -1);
        assert_int_equal(f.err.code, EFBIG);
        end(&f);

        memset(target, 'x', 4096);
        start_in_memory(&f, "");
        assert_int_equal(
                add(&f, "a/link",
                    &(struct entry_meta){ .type = ENTRY_SYMLINK, .target = (char[]){ "b" } },
                    &file),
                0);
        assert_int_equal(tree_finish(f.tree, 0, &f.err), 0);
        /* The tree refuses it, too; here it comes from elsewhere. */
        meta = &tree_lookup(f.tree, "a/link")->inode->meta;
        own = meta->target;
        meta->target = target;
        assert_int_equal(squashfs_writer_finish(f.writer, f.tree, NULL, &f.err), -1);
        meta->target = own;
        assert_int_equal(f.err.code, ENAMETOOLONG);
        assert_non_null(strstr(f.err.message, "/a/link"));
        end(&f);
}

static int finish_with_ids(uint32_t count, struct error *err)
{
        struct fixture f;
        char name[16];
        int result;

        start_in_memory(&f, "-comp lz4");
        for (uint32_t i = 0; i < count; i++) {
                struct tree_inode *file;

                (void)snprintf(name, sizeof(name), "%u", i);
                /* With the root's, which is 0. */
                assert_int_equal(add(&f, name,
                                     &(struct entry_meta){ .type = ENTRY_FIFO, .uid = i, .gid = i },
                                     &file),
                                 0);
        }
        result = finish(&f);
        *err = f.err;
        end(&f);
        return result;
}

static void test_owners(void **state)
{
        struct error err = ERROR_INIT;

        (void)state;
        assert_int_equal(finish_with_ids(65535, &err), 0);
        assert_int_equal(finish_with_ids(65536, &err), -1);
        assert_int_equal(err.code, EOVERFLOW);
}

static void test_xattr_limits(void **state)
{
        char name[300] = "user.", value[1] = "";
        struct xattr item = { .name = name, .value = value, .size = 1 };
        struct entry entry = { .path = (char[]){ "file" } };
        struct tree_inode *file;
        struct fixture f;

        (void)state;
        memset(name + 5, 'n', sizeof(name) - 6);
        start_in_memory(&f, "");
        entry.path = strdup("file");
        entry.meta.type = ENTRY_FIFO;
        assert_int_equal(xattr_list_set(&entry.meta.xattrs, item.name, item.value, item.size), 0);
        assert_int_equal(tree_add(f.tree, &entry, &file, &f.err), 0);
        entry_release(&entry);
        assert_int_equal(finish(&f), -1);
        assert_int_equal(f.err.code, E2BIG);
        end(&f);
}

/* Give the writer content until it complains; what it says in the end is in f->err. */
static int write_files(struct fixture *f, unsigned int count, uint64_t size)
{
        auto_free char *content = make_content(size, 5);

        for (unsigned int i = 0; i < count; i++) {
                struct tree_inode *file;
                char name[16];

                (void)snprintf(name, sizeof(name), "%u", i);
                content[0] = (char)i;
                file = add_file(f, name, size);
                if (squashfs_writer_begin_file(f->writer, file, &f->err) < 0 ||
                    squashfs_writer_append(f->writer, content, size, 0, &f->err) < 0 ||
                    squashfs_writer_end_file(f->writer, &f->err) < 0)
                        return -1;
        }
        return finish(f);
}

/* Every write to /dev/full fails with ENOSPC, as on a full disk. */
static void test_full_disk(void **state)
{
        static const struct {
                const char *words;
                unsigned int count;
                uint64_t size;
        } cases[] = {
                { "-comp gzip", 200, 300000 }, /* fails while data comes in */
                { "-comp gzip -noD", 1, 300000 },
                { "-comp gzip", 200, 9000 },
                { "-comp gzip", 0, 0 }, /* only tables */
                { "-comp gzip -processors 8 -mem 1K", 200, 300000 },
        };

        (void)state;
        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                struct fixture f;

                start(&f, open("/dev/full", O_RDWR | O_CLOEXEC), cases[i].words);
                assert_non_null(f.writer);
                assert_int_equal(write_files(&f, cases[i].count, cases[i].size), -1);
                assert_int_equal(f.err.code, ENOSPC);
                assert_non_null(strstr(f.err.message, strerror(ENOSPC)));
                end(&f);
        }

        /* zstd writes its level first. */
        struct fixture f;

        start(&f, open("/dev/full", O_RDWR | O_CLOEXEC), "-comp zstd");
        assert_null(f.writer);
        assert_int_equal(f.err.code, ENOSPC);
        end(&f);
}

static int write_limited(uint64_t limit)
{
        const struct rlimit size = { limit, limit };
        FILE *file = tmpfile();
        struct fixture f;

        (void)signal(SIGXFSZ, SIG_IGN);
        if (!file || setrlimit(RLIMIT_FSIZE, &size) < 0)
                return 2;
        start(&f, dup(fileno(file)), "");
        if (write_files(&f, 20, 200000) == 0)
                return 0;
        return f.err.code == EFBIG ? 1 : 3;
}

/* The failure comes at every stage, from the first block to the padding. */
static void test_file_size_limit(void **state)
{
        static const uint64_t limits[] = { 1000, 100000, 1000000, 1500000 };

        (void)state;
        for (size_t i = 0; i < ARRAY_SIZE(limits); i++) {
                int status;
                pid_t pid = fork();

                assert_true(pid >= 0);
                if (pid == 0)
                        _exit(write_limited(limits[i]));
                assert_int_equal(waitpid(pid, &status, 0), pid);
                assert_true(WIFEXITED(status));
                assert_int_equal(WEXITSTATUS(status), 1);
        }
}

/* Freed in the middle of everything: no leak, no hang. */
static void test_abandoned(void **state)
{
        auto_free char *content = make_content(1 << 20, 1);

        (void)state;
        for (size_t at = 0; at < 4; at++) {
                struct tree_inode *file;
                struct fixture f;

                start_in_memory(&f, "");
                file = add_file(&f, "small", 100);
                if (at > 0)
                        assert_int_equal(squashfs_writer_begin_file(f.writer, file, &f.err), 0);
                if (at > 1) {
                        assert_int_equal(squashfs_writer_append(f.writer, content, 100, 0, &f.err),
                                         0);
                        assert_int_equal(squashfs_writer_end_file(f.writer, &f.err), 0);
                }
                if (at > 2) {
                        file = add_file(&f, "large", 1 << 20);
                        assert_int_equal(squashfs_writer_begin_file(f.writer, file, &f.err), 0);
                        assert_int_equal(
                                squashfs_writer_append(f.writer, content, 1000000, 0, &f.err), 0);
                }
                end(&f);
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_wrong_sizes), cmocka_unit_test(test_wrong_order),
                cmocka_unit_test(test_bad_options), cmocka_unit_test(test_limits),
                cmocka_unit_test(test_owners),      cmocka_unit_test(test_xattr_limits),
                cmocka_unit_test(test_full_disk),   cmocka_unit_test(test_file_size_limit),
                cmocka_unit_test(test_abandoned),
        };

        return cmocka_run_group_tests_name("squashfs writer errors", tests, NULL, NULL);
}
