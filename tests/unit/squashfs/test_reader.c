/*
 * squashfs/ reader: images of this program's writer read back, damaged and crafted
 * ones refused. Images of squashfs-tools are read in tests/unit/unpack.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
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

#include <sqfs/super.h>

#include "image_builder.h"
#include "sample_image.h"
#include "util/cleanup.h"
#include "util/path.h"

/* Nothing compressed: names and inodes can be found and changed in the file. */
#define OPEN_WORDS "-b 4K -noI -noD -noF -noX -noId"

static char scratch[] = "/tmp/enroot-test-reader-XXXXXX";
static char image_path[64];

static int set_up(void **state)
{
        (void)state;
        if (!mkdtemp(scratch))
                return -1;
        (void)snprintf(image_path, sizeof(image_path), "%s/image", scratch);
        return 0;
}

static int tear_down(void **state)
{
        struct error err = ERROR_INIT;

        (void)state;
        return path_remove_tree(AT_FDCWD, scratch, &err);
}

/* ---- whole images ---- */

static void test_samples(void **state)
{
        static const char *const words[] = {
                "-comp zstd",
                "-comp zstd -b 4K",
                "-comp gzip -b 64K",
                "-comp lz4 -b 1M",
                "-comp xz -b 32K",
                "-comp lzo",
                "-noD",
                OPEN_WORDS,
        };

        (void)state;
        for (size_t i = 0; i < ARRAY_SIZE(words); i++) {
                auto_squashfs_image struct squashfs_image *image = NULL;
                struct error err = ERROR_INIT;
                auto_close int fd = -1;

                if (!sample_build(image_path, words[i]))
                        continue;
                fd = open(image_path, O_RDONLY | O_CLOEXEC);
                assert_int_equal(squashfs_probe(fd, &err), 1);
                image = squashfs_open(fd, "image", &err);
                if (!image)
                        fail_msg("%s: %s", words[i], err.message);
                sample_check_image(image, SAMPLE_EXACT);
        }
}

static void test_extents(void **state)
{
        auto_squashfs_image struct squashfs_image *image = NULL;
        auto_close int fd = -1;
        struct squashfs_map map = SQUASHFS_MAP_INIT;
        struct error err = ERROR_INIT;
        char buffer[100], again[100];
        squashfs_ref ref;

        (void)state;
        assert_true(sample_build(image_path, "-b 4K -noD"));
        fd = open(image_path, O_RDONLY | O_CLOEXEC);
        image = squashfs_open(fd, "image", &err);
        assert_non_null(image);

        /* Blocks that lie together are one extent. */
        ref = sample_find(image, "bin/large");
        assert_int_equal(squashfs_map(image, ref, 5000, 100000, &map, &err), 0);
        assert_int_equal(map.size, 100000);
        assert_int_equal(map.count, 1);
        assert_int_equal(map.extents[0].kind, SQUASHFS_PLAIN);
        assert_int_equal(squashfs_read_plain(image, buffer, 100, map.extents[0].position, &err), 0);
        assert_int_equal(squashfs_read(image, ref, again, 100, 5000, &err), 100);
        assert_memory_equal(buffer, again, 100);
        squashfs_unmap(image, &map);

        /* Nothing is made of a hole, however large. */
        ref = sample_find(image, "sparse");
        assert_int_equal(squashfs_map(image, ref, 4096, 1000 * 4096, &map, &err), 0);
        assert_int_equal(map.count, 1);
        assert_int_equal(map.extents[0].kind, SQUASHFS_HOLE);
        assert_int_equal(map.extents[0].size, 1000 * 4096);
        squashfs_unmap(image, &map);

        assert_int_equal(squashfs_map(image, sample_find(image, "bin"), 0, 1, &map, &err), -1);
        assert_int_equal(err.code, EISDIR);
        assert_int_equal(squashfs_read(image, sample_find(image, "link"), buffer, 1, 0, &err), -1);
        assert_int_equal(err.code, EINVAL);
        assert_null(squashfs_readlink(image, ref, &err));
        assert_int_equal(squashfs_lookup(image, ref, "x", &ref, &err), -1);
        assert_int_equal(err.code, ENOTDIR);
}

/* Behind something else in the file, as in a bundle. */
static void test_offset(void **state)
{
        enum { OFFSET = 65536 + 7 };
        auto_close int fd = -1, shifted = -1;
        auto_squashfs_image struct squashfs_image *image = NULL;
        auto_free char *path = path_join(scratch, "shifted"), *content = NULL;
        struct error err = ERROR_INIT;
        struct stat st;

        (void)state;
        assert_true(sample_build(image_path, "-b 4K -noD"));
        fd = open(image_path, O_RDONLY | O_CLOEXEC);
        assert_int_equal(fstat(fd, &st), 0);
        content = malloc((size_t)st.st_size);
        assert_non_null(content);
        assert_int_equal(pread(fd, content, (size_t)st.st_size, 0), st.st_size);
        shifted = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
        assert_int_equal(pwrite(shifted, content, (size_t)st.st_size, OFFSET), st.st_size);

        image = squashfs_open_at(shifted, OFFSET, "image", &err);
        if (!image)
                fail_msg("%s", err.message);
        sample_check_image(image, SAMPLE_EXACT);
        assert_string_equal(squashfs_compression(image), "zstd");
        assert_null(squashfs_open_at(shifted, OFFSET - 1, "image", &err));
        assert_int_equal(err.code, EBADMSG);
        assert_null(squashfs_open_at(shifted, INT64_MAX, "image", &err));
        assert_int_equal(ftruncate(shifted, OFFSET + st.st_size / 2), 0);
        assert_null(squashfs_open_at(shifted, OFFSET, "image", &err));
        assert_non_null(strstr(err.message, "is shorter than it says"));
}

/* The same bytes as by reading, for system calls alone, which fail where there are none. */
static void test_window(void **state)
{
        enum { OFFSET = 4096 + 7 };
        auto_cleanup(squashfs_window_release) struct squashfs_window window = SQUASHFS_WINDOW_INIT;
        auto_squashfs_image struct squashfs_image *image = NULL;
        auto_close int fd = -1, other = -1;
        auto_free char *path = path_join(scratch, "behind"), *content = NULL, *again = NULL;
        static const size_t positions[] = { 96, 5000, 100, 100000 };
        struct error err = ERROR_INIT;
        const void *memory;
        size_t size;

        (void)state;
        assert_true(sample_build(image_path, "-b 4K -noD"));
        fd = open(image_path, O_RDONLY | O_CLOEXEC);
        size = (size_t)lseek(fd, 0, SEEK_END);
        content = malloc(size);
        again = malloc(size);
        assert_non_null(content);
        assert_non_null(again);
        assert_int_equal(pread(fd, content, size, 0), size);
        other = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
        assert_int_equal(pwrite(other, content, size, OFFSET), size);
        image = squashfs_open_at(other, OFFSET, "image", &err);
        assert_non_null(image);

        for (size_t i = 0; i < ARRAY_SIZE(positions); i++) {
                memory = squashfs_window_at(image, &window, positions[i], 9000);
                assert_non_null(memory);
                assert_memory_equal(memory, content + positions[i], 9000);
        }
        assert_null(squashfs_window_at(image, &window, size, 1));
        assert_null(squashfs_window_at(image, &window, UINT64_MAX, 1));
        assert_null(squashfs_window_at(image, &window, 96, SIZE_MAX));

        memory = squashfs_window_at(image, &window, 96, 100000);
        assert_int_equal(ftruncate(other, 0), 0);
        (void)close(fd);
        fd = open(image_path, O_WRONLY | O_CLOEXEC);
        assert_int_equal(pwrite(fd, memory, 100000, 0), -1);
        assert_int_equal(errno, EFAULT);
        assert_int_equal(squashfs_read_plain(image, again, 100, 96, &err), -1);
        assert_non_null(strstr(err.message, "cut off while in use"));
}

static void *check_in_thread(void *image)
{
        sample_check_image(image, SAMPLE_EXACT);
        return NULL;
}

static void test_threads(void **state)
{
        auto_squashfs_image struct squashfs_image *image = NULL;
        auto_close int fd = -1;
        struct error err = ERROR_INIT;
        pthread_t threads[4];

        (void)state;
        assert_true(sample_build(image_path, "-b 1M"));
        fd = open(image_path, O_RDONLY | O_CLOEXEC);
        image = squashfs_open(fd, "image", &err);
        assert_non_null(image);
        for (size_t i = 0; i < ARRAY_SIZE(threads); i++)
                assert_int_equal(pthread_create(&threads[i], NULL, check_in_thread, image), 0);
        for (size_t i = 0; i < ARRAY_SIZE(threads); i++)
                pthread_join(threads[i], NULL);
}

/* ---- images that are not what they should be ---- */

struct content {
        uint8_t *bytes;
        size_t size;
};

static struct content load(void)
{
        auto_close int fd = open(image_path, O_RDONLY | O_CLOEXEC);
        struct content content = { .bytes = NULL };
        struct stat st;

        assert_int_equal(fstat(fd, &st), 0);
        content.size = (size_t)st.st_size;
        content.bytes = malloc(content.size);
        assert_int_equal(read(fd, content.bytes, content.size), content.size);
        return content;
}

static int open_content(const uint8_t *bytes, size_t size)
{
        int fd = open(image_path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

        assert_int_equal(write(fd, bytes, size), size);
        return fd;
}

static void expect_refusal(const uint8_t *bytes, size_t size, int code, const char *message)
{
        auto_close int fd = open_content(bytes, size);
        struct error err = ERROR_INIT;

        assert_null(squashfs_open(fd, "the-image", &err));
        assert_int_equal(err.code, code);
        assert_ptr_equal(strstr(err.message, "the-image: "), err.message);
        if (!strstr(err.message, message))
                fail_msg("\"%s\" does not say \"%s\"", err.message, message);
}

static void test_refused(void **state)
{
        static const struct {
                size_t offset;
                uint8_t bytes[4];
                size_t size;
                int code;
                const char *message;
        } cases[] = {
                { 0, "hsqX", 4, EBADMSG, "not a squashfs image" },
                { 0, "sqsh", 4, EOPNOTSUPP, "big-endian" },
                { offsetof(sqfs_super_t, version_major), { 3, 0 }, 2, EOPNOTSUPP, "version 3.0" },
                { offsetof(sqfs_super_t, version_minor), { 1, 0 }, 2, EOPNOTSUPP, "version 4.1" },
                { offsetof(sqfs_super_t, compression_id), { 77, 0 }, 2, EOPNOTSUPP, "77" },
                { offsetof(sqfs_super_t, block_size), { 1, 0 }, 2, EBADMSG, "block size" },
                { offsetof(sqfs_super_t, block_log), { 40, 0 }, 2, EBADMSG, "block size" },
                { offsetof(sqfs_super_t, bytes_used) + 3,
                  { 9 },
                  1,
                  EBADMSG,
                  "shorter than it says" },
                { offsetof(sqfs_super_t, bytes_used) + 7, { 0xff }, 1, EBADMSG, "shorter" },
                { offsetof(sqfs_super_t, inode_table_start), { 10 }, 4, EBADMSG, "outside" },
                { offsetof(sqfs_super_t, inode_table_start) + 7, { 0xff }, 1, EBADMSG, "outside" },
                { offsetof(sqfs_super_t, directory_table_start) + 7, { 1 }, 1, EBADMSG, "outside" },
                { offsetof(sqfs_super_t, id_table_start) + 7, { 1 }, 1, EBADMSG, "id table" },
                { offsetof(sqfs_super_t, fragment_entry_count) + 3, { 1 }, 1, EBADMSG, "fragment" },
                { offsetof(sqfs_super_t, xattr_id_table_start) + 7, { 1 }, 1, EBADMSG, "damaged" },
                { offsetof(sqfs_super_t, root_inode_ref), { 0xff, 0xff }, 2, EBADMSG, "damaged" },
                { offsetof(sqfs_super_t, root_inode_ref) + 7, { 0xff }, 1, EBADMSG, "damaged" },
        };
        struct content content;

        (void)state;
        assert_true(sample_build(image_path, OPEN_WORDS));
        content = load();
        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                auto_free uint8_t *copy = malloc(content.size);

                memcpy(copy, content.bytes, content.size);
                memcpy(copy + cases[i].offset, cases[i].bytes, cases[i].size);
                expect_refusal(copy, content.size, cases[i].code, cases[i].message);
        }
        expect_refusal(content.bytes, content.size / 2, EBADMSG, "shorter than it says");
        expect_refusal(content.bytes, 50, EBADMSG, "shorter than a squashfs super block");
        expect_refusal(content.bytes, 3, EBADMSG, "not a squashfs image");
        expect_refusal(content.bytes, 0, EBADMSG, "not a squashfs image");
        free(content.bytes);
}

static int accept(const struct squashfs_dirent *entry, void *context, struct error *err)
{
        unsigned int *names = context;

        (void)err;
        (void)entry;
        (*names)++;
        return 0;
}

/* CVE-2021-40153, CVE-2021-41072 */
static void test_crafted_names(void **state)
{
        static const struct {
                const char *name, *crafted, *message;
        } cases[] = {
                { "first", "../..", "slash" },   { "first", "/etc/", "slash" },
                { "first", "fi\0st", "NUL" },    { "zz", "..", "\"..\"" },
                { "z", ".", "\".\"" },           { "second", "a-twin", "twice" },
                { "second", "a-lamb", "order" },
        };
        struct image_builder builder;
        struct content content;

        (void)state;
        assert_true(builder_start(&builder, image_path, OPEN_WORDS));
        builder_directory(&builder, "one");
        builder_file(&builder, "one/a-twin", "1", 1);
        builder_file(&builder, "one/second", "1", 1);
        builder_directory(&builder, "two");
        builder_file(&builder, "two/first", "1", 1);
        builder_directory(&builder, "two-points");
        builder_file(&builder, "two-points/zz", "1", 1);
        builder_directory(&builder, "two-three");
        builder_file(&builder, "two-three/z", "1", 1);
        builder_finish(&builder);
        builder_end(&builder);
        content = load();

        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                auto_free uint8_t *copy = malloc(content.size);
                size_t size = strlen(cases[i].name);
                auto_squashfs_image struct squashfs_image *image = NULL;
                auto_close int fd = -1;
                struct error err = ERROR_INIT;
                unsigned int names = 0, damaged = 0;
                uint8_t field[3] = { (uint8_t)(size - 1), 0, 0 };
                uint8_t *at;

                memcpy(copy, content.bytes, content.size);
                memcpy(field + 2, cases[i].name, 1);
                /* The name behind its length, so that "z" is not found elsewhere. */
                at = memmem(copy, content.size, field, sizeof(field));
                while (at && memcmp(at + 2, cases[i].name, size) != 0)
                        at = memmem(at + 1, content.size - (size_t)(at + 1 - copy), field,
                                    sizeof(field));
                assert_non_null(at);
                memcpy(at + 2, cases[i].crafted, size);

                fd = open_content(copy, content.size);
                image = squashfs_open(fd, "image", &err);
                assert_non_null(image);
                for (const char *const *directory =
                             (const char *const[]){ "one", "two", "two-points", "two-three", NULL };
                     *directory; directory++) {
                        if (squashfs_list(image, sample_find(image, *directory), 0, accept, &names,
                                          &err) == 0)
                                continue;
                        damaged++;
                        assert_int_equal(err.code, EBADMSG);
                        if (!strstr(err.message, cases[i].message))
                                fail_msg("\"%s\" does not say \"%s\"", err.message,
                                         cases[i].message);
                }
                assert_int_equal(damaged, 1);
        }
        free(content.bytes);
}

static int use(const struct squashfs_dirent *entry, void *context, struct error *err);

static void use_inode(struct squashfs_image *image, squashfs_ref ref, unsigned int depth)
{
        auto_cleanup(entry_meta_release) struct entry_meta meta = { .target = NULL };
        auto_free char *text = NULL;
        struct error err = ERROR_INIT;
        struct squashfs_stat stat;
        char buffer[10000];
        struct {
                struct squashfs_image *image;
                unsigned int depth;
        } context = { image, depth + 1 };

        if (squashfs_stat(image, ref, &stat, &err) < 0)
                return;
        (void)squashfs_xattrs(image, ref, &meta.xattrs, &err);
        (void)squashfs_read(image, ref, buffer, sizeof(buffer), 0, &err);
        (void)squashfs_read(image, ref, buffer, sizeof(buffer), stat.meta.size / 2, &err);
        text = squashfs_readlink(image, ref, &err);
        if (depth < 4)
                (void)squashfs_list(image, ref, 0, use, &context, &err);
}

static int use(const struct squashfs_dirent *entry, void *context, struct error *err)
{
        struct {
                struct squashfs_image *image;
                unsigned int depth;
        } *walk = context;

        (void)err;
        use_inode(walk->image, entry->ref, walk->depth);
        return 0;
}

/* Whatever a byte is changed to, nothing but an error may come of it. */
static void test_flipped_bytes(void **state)
{
        struct image_builder builder;
        struct content content;

        (void)state;
        assert_true(builder_start(&builder, image_path, OPEN_WORDS));
        builder_directory(&builder, "directory");
        builder_file(&builder, "directory/file", "content", 7);
        builder_add(&builder, "directory/link",
                    &(struct entry_meta){ .type = ENTRY_SYMLINK, .target = (char *)"target" },
                    NULL);
        builder_sparse(&builder, "sparse", 20000, (const uint64_t[]){ 5000 }, 1, "abc", 3);
        builder_finish(&builder);
        builder_end(&builder);
        content = load();
        for (size_t i = 0; i < content.size; i++) {
                for (int bit = 0; bit < 8; bit += 7) {
                        auto_close int fd = -1;
                        auto_squashfs_image struct squashfs_image *image = NULL;
                        struct error err = ERROR_INIT;

                        content.bytes[i] ^= 1 << bit;
                        fd = open_content(content.bytes, content.size);
                        content.bytes[i] ^= 1 << bit;
                        image = squashfs_open(fd, "image", &err);
                        if (image)
                                use_inode(image, squashfs_root(image), 0);
                        else
                                assert_int_not_equal(err.code, 0);
                }
        }
        free(content.bytes);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_samples),       cmocka_unit_test(test_extents),
                cmocka_unit_test(test_offset),        cmocka_unit_test(test_window),
                cmocka_unit_test(test_threads),       cmocka_unit_test(test_refused),
                cmocka_unit_test(test_crafted_names), cmocka_unit_test(test_flipped_bytes),
        };

        return cmocka_run_group_tests(tests, set_up, tear_down);
}
