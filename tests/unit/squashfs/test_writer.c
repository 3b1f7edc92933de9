/*
 * squashfs/ writer: images are read back by squashfs-tools and by the kernel, which know
 * nothing of this program; where one of them is missing, its test is skipped.
 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <cmocka.h>

#include <sqfs/compressor.h>
#include <sqfs/data_reader.h>
#include <sqfs/dir_reader.h>
#include <sqfs/id_table.h>
#include <sqfs/io.h>
#include <sqfs/super.h>

#include "image_builder.h"
#include "util/cleanup.h"
#include "util/path.h"
#include "util/strbuf.h"

#define BLOCK ((size_t)128 << 10)

static char scratch[] = "/tmp/enroot-test-writer-XXXXXX";
static char image[64], other[64], target[64];
static bool have_unsquashfs, have_mount;

/* ---- programs ---- */

static bool mount_image(const char *path)
{
        return run_quietly((const char *[]){ "mount", "-t", "squashfs", "-o", "loop,ro", path,
                                             target, NULL }) == 0;
}

static void unmount_image(void)
{
        assert_int_equal(umount(target), 0);
}

static void extract(const char *path)
{
        struct error err = ERROR_INIT;

        assert_int_equal(path_remove_tree(AT_FDCWD, target, &err), 0);
        if (run_quietly((const char *[]){ "unsquashfs", "-no-xattrs", "-n", "-d", target, path,
                                          NULL }) != 0)
                fail_msg("unsquashfs cannot extract the image");
}

static int set_up(void **state)
{
        struct image_builder builder;

        (void)state;
        strcpy(scratch + strlen(scratch) - 6, "XXXXXX");
        if (!mkdtemp(scratch))
                return -1;
        (void)snprintf(image, sizeof(image), "%s/image", scratch);
        (void)snprintf(other, sizeof(other), "%s/other", scratch);
        (void)snprintf(target, sizeof(target), "%s/target", scratch);
        if (mkdir(target, 0755) < 0)
                return -1;

        have_unsquashfs = run_quietly((const char *[]){ "unsquashfs", "-version", NULL }) >= 0;
        builder_start(&builder, image, "-comp gzip");
        builder_finish(&builder);
        builder_end(&builder);
        have_mount = geteuid() == 0 && mount_image(image);
        if (have_mount)
                unmount_image();
        return 0;
}

static int tear_down(void **state)
{
        struct error err = ERROR_INIT;

        (void)state;
        return path_remove_tree(AT_FDCWD, scratch, &err);
}

/* ---- the sample tree and its checks ---- */

static const struct {
        const char *path;
        size_t size;
        unsigned int seed; /* 0: zeros */
} sample_files[] = {
        { "empty", 0, 1 },
        { "one-byte", 1, 2 },
        { "small", 5000, 3 },
        { "small-twin", 5000, 3 },
        { "small-zeros", 3000, 0 },
        { "nearly-block", BLOCK - 1, 4 },
        { "block", BLOCK, 5 },
        { "block-and-1", BLOCK + 1, 6 },
        { "blocks", 5 * BLOCK + 777, 7 },
        { "blocks-twin", 5 * BLOCK + 777, 7 },
        { "zeros", 2 * BLOCK + 10, 0 },
        { "dir/deep/file", 70000, 8 },
        { "dir/deep/other", 70000, 9 },
};

static void *sample_content(size_t index)
{
        size_t size = sample_files[index].size;
        void *content = make_content(size, sample_files[index].seed);

        if (sample_files[index].seed == 0)
                memset(content, 0, size);
        return content;
}

#define HOLES_SIZE (10 * BLOCK + 5)
static const uint64_t hole_offsets[] = { 10, 3 * BLOCK - 2, 3 * BLOCK + 5000, 7 * BLOCK };

static void add_samples(struct image_builder *builder)
{
        char comment[] = "user.comment", access[] = "system.posix_acl_access", value[] = "hello";
        struct xattr items[] = { { access, value, 3 }, { comment, value, 5 } };

        for (size_t i = 0; i < ARRAY_SIZE(sample_files); i++) {
                auto_free void *content = sample_content(i);

                builder_file(builder, sample_files[i].path, content, sample_files[i].size);
        }
        builder_sparse(builder, "holes", HOLES_SIZE, hole_offsets, ARRAY_SIZE(hole_offsets), "xyz",
                       3);
        builder_directory(builder, "dir/none");
        builder_add(builder, "link",
                    &(struct entry_meta){
                            .type = ENTRY_SYMLINK, .mode = 0777, .target = (char[]){ "dir/deep" } },
                    NULL);
        builder_add(builder, "dir/hard",
                    &(struct entry_meta){ .type = ENTRY_HARDLINK, .target = (char[]){ "small" } },
                    NULL);
        builder_add(builder, "fifo", &(struct entry_meta){ .type = ENTRY_FIFO, .mode = 0600 },
                    NULL);
        builder_add(builder, "suid",
                    &(struct entry_meta){ .type = ENTRY_FILE,
                                          .mode = 04711,
                                          .mtime = 4102444800,
                                          .size = 3,
                                          .xattrs = { items, 2 } },
                    "abc");
}

static void check_content(const char *path, const void *expected, size_t size)
{
        auto_close int fd = open(path, O_RDONLY | O_CLOEXEC);
        auto_free char *content = malloc(size + 1);
        size_t got = 0;
        ssize_t part;

        assert_true(fd >= 0);
        assert_non_null(content);
        while ((part = read(fd, content + got, size + 1 - got)) > 0)
                got += (size_t)part;
        assert_int_equal(part, 0);
        assert_int_equal(got, size);
        if (memcmp(content, expected, size) != 0)
                fail_msg("content of %s", path);
}

static struct stat stat_target(const char *name)
{
        auto_free char *path = path_join(target, name);
        struct stat st;

        assert_non_null(path);
        if (lstat(path, &st) < 0)
                fail_msg("lstat %s: %s", path, strerror(errno));
        return st;
}

/* Compare what is mounted or extracted at target. */
static void check_samples(void)
{
        auto_free char *holes = calloc(1, HOLES_SIZE), *holes_path = path_join(target, "holes");
        auto_free char *link = path_join(target, "link");
        char text[16] = "";

        for (size_t i = 0; i < ARRAY_SIZE(sample_files); i++) {
                auto_free void *content = sample_content(i);
                auto_free char *path = path_join(target, sample_files[i].path);

                check_content(path, content, sample_files[i].size);
                assert_int_equal(stat_target(sample_files[i].path).st_mode, S_IFREG | 0644);
        }
        assert_non_null(holes);
        for (size_t i = 0; i < ARRAY_SIZE(hole_offsets); i++)
                memcpy(holes + hole_offsets[i], "xyz", 3);
        check_content(holes_path, holes, HOLES_SIZE);

        assert_int_equal(readlink(link, text, sizeof(text) - 1), 8);
        assert_string_equal(text, "dir/deep");
        assert_true(S_ISDIR(stat_target("dir/none").st_mode));
        assert_true(S_ISFIFO(stat_target("fifo").st_mode));
        /* Only root's unsquashfs sets the bit. */
        assert_int_equal(stat_target("suid").st_mode & (geteuid() == 0 ? 07777 : 0777),
                         geteuid() == 0 ? 04711 : 0711);
        assert_int_equal(stat_target("suid").st_mtime, 4102444800);
        assert_int_equal(stat_target("small").st_nlink, 2);
        assert_int_equal(stat_target("small").st_ino, stat_target("dir/hard").st_ino);
        assert_int_equal(stat_target("dir").st_nlink, 4);
}

static const char *const variants[] = {
        "",
        "-noI -noD -noF -noX -noId -no-duplicates",
        "-noD -comp lz4",
        "-noF -comp gzip -b 4K",
        "-comp gzip -Xcompression-level 1",
        "-comp xz",
        "-comp lzo -noD -exit-on-error",
        "-comp lzo -Xcompression-level 8",
        "-comp zstd -Xcompression-level 15 -b 1M",
        "-noI -mem 1K -processors 5",
};

static bool build_variant(const char *path, const char *words, struct squashfs_stats *ret_stats)
{
        struct image_builder builder;

        if (!builder_start(&builder, path, words))
                return false;
        add_samples(&builder);
        builder_finish(&builder);
        if (ret_stats)
                *ret_stats = builder.stats;
        builder_end(&builder);
        return true;
}

static void test_read_by_unsquashfs(void **state)
{
        (void)state;
        if (!have_unsquashfs)
                skip();
        for (size_t i = 0; i < ARRAY_SIZE(variants); i++) {
                if (!build_variant(image, variants[i], NULL))
                        continue;
                extract(image);
                check_samples();
        }
}

static void test_read_by_kernel(void **state)
{
        (void)state;
        if (!have_mount)
                skip();
        for (size_t i = 0; i < ARRAY_SIZE(variants); i++) {
                auto_free char *suid = path_join(target, "suid");
                char value[16];

                /* A kernel may lack a compressor. */
                if (!build_variant(image, variants[i], NULL) || !mount_image(image)) {
                        print_message("skipped: %s\n", variants[i]);
                        continue;
                }
                check_samples();
                assert_int_equal(lgetxattr(suid, "user.comment", value, sizeof(value)), 5);
                assert_memory_equal(value, "hello", 5);
                assert_int_equal(llistxattr(suid, value, sizeof(value)), sizeof("user.comment"));
                assert_true(stat_target("holes").st_blocks * 512 < (blkcnt_t)HOLES_SIZE);
                unmount_image();
        }
}

/* ---- libsquashfs ---- */

struct peer {
        sqfs_file_t *file;
        sqfs_super_t super;
        sqfs_compressor_t *compressor;
        sqfs_id_table_t *ids;
        sqfs_dir_reader_t *directories;
        sqfs_data_reader_t *data;
};

/* False for a compressor that libsquashfs lacks. */
static bool peer_open(struct peer *peer, const char *path)
{
        sqfs_compressor_config_t config;

        peer->file = sqfs_open_file(path, SQFS_FILE_OPEN_READ_ONLY);
        assert_non_null(peer->file);
        assert_int_equal(sqfs_super_read(&peer->super, peer->file), 0);
        sqfs_compressor_config_init(&config, (SQFS_COMPRESSOR)peer->super.compression_id,
                                    peer->super.block_size, SQFS_COMP_FLAG_UNCOMPRESS);
        if (sqfs_compressor_create(&config, &peer->compressor) != 0) {
                sqfs_destroy(peer->file);
                return false;
        }
        peer->ids = sqfs_id_table_create(0);
        assert_int_equal(sqfs_id_table_read(peer->ids, peer->file, &peer->super, peer->compressor),
                         0);
        peer->directories = sqfs_dir_reader_create(&peer->super, peer->compressor, peer->file, 0);
        peer->data =
                sqfs_data_reader_create(peer->file, peer->super.block_size, peer->compressor, 0);
        assert_non_null(peer->directories);
        assert_non_null(peer->data);
        assert_int_equal(sqfs_data_reader_load_fragment_table(peer->data, &peer->super), 0);
        return true;
}

static void peer_close(struct peer *peer)
{
        sqfs_destroy(peer->data);
        sqfs_destroy(peer->directories);
        sqfs_destroy(peer->ids);
        sqfs_destroy(peer->compressor);
        sqfs_destroy(peer->file);
}

static void peer_check_content(struct peer *peer, const char *path, const void *expected,
                               size_t size)
{
        auto_free char *content = malloc(size + 1);
        sqfs_inode_generic_t *inode = NULL;
        size_t got = 0;
        sqfs_s32 part;

        assert_non_null(content);
        assert_int_equal(sqfs_dir_reader_find_by_path(peer->directories, NULL, path, &inode), 0);
        while ((part = sqfs_data_reader_read(peer->data, inode, got, content + got,
                                             (sqfs_u32)(size + 1 - got))) > 0)
                got += (size_t)part;
        assert_int_equal(part, 0);
        assert_int_equal(got, size);
        if (memcmp(content, expected, size) != 0)
                fail_msg("content of %s", path);
        sqfs_free(inode);
}

static void test_read_by_libsquashfs(void **state)
{
        (void)state;
        for (size_t i = 0; i < ARRAY_SIZE(variants); i++) {
                struct peer peer;

                if (!build_variant(image, variants[i], NULL) || !peer_open(&peer, image))
                        continue;
                for (size_t j = 0; j < ARRAY_SIZE(sample_files); j++) {
                        auto_free void *content = sample_content(j);

                        peer_check_content(&peer, sample_files[j].path, content,
                                           sample_files[j].size);
                }
                peer_close(&peer);
        }
}

/* ---- one thing at a time ---- */

static void test_stats(void **state)
{
        struct squashfs_stats stats;
        struct stat st;
        uint64_t content = 3 + 3 * ARRAY_SIZE(hole_offsets);

        (void)state;
        for (size_t i = 0; i < ARRAY_SIZE(sample_files); i++)
                content += sample_files[i].size;
        assert_true(build_variant(image, "", &stats));
        assert_int_equal(stat(image, &st), 0);
        assert_int_equal(stats.image_bytes, st.st_size);
        assert_int_equal(stats.image_bytes % 4096, 0);
        assert_int_equal(stats.content_bytes, content);
        assert_int_equal(stats.files, ARRAY_SIZE(sample_files) + 2);
        assert_int_equal(stats.directories, 4);
        assert_int_equal(stats.symlinks, 1);
        assert_int_equal(stats.hard_links, 1);
        assert_int_equal(stats.others, 1);
        assert_int_equal(stats.duplicates, 2);

        assert_true(build_variant(image, "-no-duplicates", &stats));
        assert_int_equal(stats.duplicates, 0);
}

/* Files of a block and more that are equally long: none but equal ones share their content. */
static void test_one_size(void **state)
{
        enum { SIZE = 300001 };
        static const char *const settings[] = { "", "-noD", "-noD -b 4K",
                                                "-comp lz4 -noD -mem 300K" };
        /* Seeds; 0 is a file of zeros, -1 one that begins with a hole. */
        static const int seeds[] = { 0, -1, 1, 2, 1, -1, 0, 3, 2, 1 };
        uint8_t *contents[ARRAY_SIZE(seeds)];

        (void)state;
        for (size_t i = 0; i < ARRAY_SIZE(seeds); i++) {
                contents[i] =
                        seeds[i] > 0 ? make_content(SIZE, (unsigned int)seeds[i]) : calloc(1, SIZE);
                if (seeds[i] < 0)
                        memset(contents[i] + 2 * 131072, 'x', SIZE - 2 * 131072);
        }
        for (size_t i = 0; i < ARRAY_SIZE(settings); i++) {
                struct image_builder builder;
                struct peer peer;

                if (!builder_start(&builder, image, settings[i]))
                        continue;
                for (size_t j = 0; j < ARRAY_SIZE(seeds); j++)
                        builder_file(&builder, (char[]){ (char)('a' + j), '\0' }, contents[j],
                                     SIZE);
                builder_finish(&builder);
                builder_end(&builder);
                assert_int_equal(builder.stats.duplicates, 4);
                if (!peer_open(&peer, image))
                        continue;
                for (size_t j = 0; j < ARRAY_SIZE(seeds); j++)
                        peer_check_content(&peer, (char[]){ (char)('a' + j), '\0' }, contents[j],
                                           SIZE);
                peer_close(&peer);
        }
        for (size_t i = 0; i < ARRAY_SIZE(seeds); i++)
                free(contents[i]);
}

static bool same_files(const char *a, const char *b)
{
        return run_quietly((const char *[]){ "cmp", a, b, NULL }) == 0;
}

static void test_same_bytes(void **state)
{
        static const char *const settings[] = { "", "-noD", "-comp lz4 -b 4K", "-comp lzo" };
        static const char *const more[] = { "-processors 2", "-processors 8", "-mem 300K" };

        (void)state;
        for (size_t i = 0; i < ARRAY_SIZE(settings); i++) {
                char words[64];

                (void)snprintf(words, sizeof(words), "%s -processors 1", settings[i]);
                if (!build_variant(image, words, NULL))
                        continue;
                for (size_t j = 0; j < ARRAY_SIZE(more); j++) {
                        (void)snprintf(words, sizeof(words), "%s %s", settings[i], more[j]);
                        assert_true(build_variant(other, words, NULL));
                        if (!same_files(image, other))
                                fail_msg("another image with %s", words);
                }
        }
}

static sqfs_super_t read_super(const char *path)
{
        auto_close int fd = open(path, O_RDONLY | O_CLOEXEC);
        sqfs_super_t super;

        assert_int_equal(pread(fd, &super, sizeof(super), 0), sizeof(super));
        return super;
}

static void test_super_block(void **state)
{
        sqfs_super_t super;

        (void)state;
        assert_true(build_variant(image, "-noI -noD -noF -noX -no-duplicates", NULL));
        super = read_super(image);
        assert_int_equal(super.flags, SQFS_FLAG_UNCOMPRESSED_INODES | SQFS_FLAG_UNCOMPRESSED_DATA |
                                              SQFS_FLAG_UNCOMPRESSED_FRAGMENTS |
                                              SQFS_FLAG_UNCOMPRESSED_XATTRS | SQFS_FLAG_EXPORTABLE |
                                              SQFS_FLAG_COMPRESSOR_OPTIONS);
        /* The newest file. */
        assert_int_equal(super.modification_time, 4102444800);

        assert_true(build_variant(image, "-noId -mkfs-time 77 -all-time 99 -comp gzip", NULL));
        super = read_super(image);
        assert_int_equal(super.flags, SQFS_FLAG_UNCOMPRESSED_IDS | SQFS_FLAG_NO_DUPLICATES |
                                              SQFS_FLAG_EXPORTABLE);
        assert_int_equal(super.modification_time, 77);
        assert_int_equal(super.compression_id, SQFS_COMP_GZIP);
        assert_int_not_equal(super.export_table_start, UINT64_MAX);
        if (have_unsquashfs) {
                extract(image);
                assert_int_equal(stat_target("suid").st_mtime, 99);
        }
}

static void test_sparse_giant(void **state)
{
        static const uint64_t offsets[] = { (uint64_t)19 << 30 };
        const uint64_t size = (uint64_t)20 << 30;
        struct image_builder builder;

        (void)state;
        builder_start(&builder, image, "");
        builder_sparse(&builder, "giant", size, offsets, 1, "here", 4);
        builder_finish(&builder);
        builder_end(&builder);
        assert_true(builder.stats.image_bytes < 16384);
        if (have_mount && mount_image(image)) {
                auto_free char *path = path_join(target, "giant");
                int fd = open(path, O_RDONLY | O_CLOEXEC);
                char text[5] = "";

                assert_true(stat_target("giant").st_size == (off_t)size);
                assert_int_equal(pread(fd, text, 4, (off_t)offsets[0]), 4);
                assert_string_equal(text, "here");
                assert_int_equal(pread(fd, text, 4, 0), 4);
                assert_int_equal(text[0], 0);
                (void)close(fd);
                unmount_image();
        }
}

static void test_big_directory(void **state)
{
        enum { NAMES = 70000, DEPTH = 2000 };
        auto_strbuf struct strbuf deep = STRBUF_INIT;
        struct image_builder builder;
        char path[64];

        (void)state;
        builder_start(&builder, image, "-comp lz4");
        for (int i = 0; i < NAMES; i++) {
                (void)snprintf(path, sizeof(path), "many/name-%08d", i);
                builder_file(&builder, path, path, i % 3 ? 0 : 10);
        }
        for (int i = 0; i < DEPTH; i++)
                strbuf_append(&deep, i ? "/d" : "d");
        builder_directory(&builder, strbuf_text(&deep));
        builder_finish(&builder);
        builder_end(&builder);
        assert_int_equal(builder.stats.files, NAMES);
        assert_int_equal(builder.stats.directories, 2 + DEPTH);

        if (have_mount && mount_image(image)) {
                assert_int_equal(stat_target("many/name-00000000").st_size, 10);
                assert_int_equal(stat_target("many/name-00069999").st_size, 10);
                assert_int_equal(stat_target("many/name-00035000").st_size, 0);
                auto_free char *missing = path_join(target, "many/name-00070000");
                assert_int_equal(access(missing, F_OK), -1);
                unmount_image();
        }
}

/* 512 sets of attributes just fill a block of their list. */
static void test_many_xattrs(void **state)
{
        static const int counts[] = { 511, 512, 513, 1024 };
        char name[] = "user.n", value[16];

        (void)state;
        for (size_t i = 0; i < ARRAY_SIZE(counts); i++) {
                struct image_builder builder;
                struct xattr item = { name, value, sizeof(value) };
                struct entry_meta meta = { .type = ENTRY_FILE,
                                           .mode = 0644,
                                           .xattrs = { &item, 1 } };
                char path[32];

                builder_start(&builder, image, "");
                for (int file = 0; file < 2 * counts[i]; file++) {
                        memset(value, 0, sizeof(value));
                        (void)snprintf(value, sizeof(value), "%d", file / 2);
                        (void)snprintf(path, sizeof(path), "file-%05d", file);
                        builder_add(&builder, path, &meta, NULL);
                }
                builder_finish(&builder);
                builder_end(&builder);
                if (!have_mount || !mount_image(image))
                        continue;
                (void)snprintf(path, sizeof(path), "file-%05d", 2 * counts[i] - 1);
                auto_free char *last = path_join(target, path);
                assert_int_equal(lgetxattr(last, "user.n", value, sizeof(value)), sizeof(value));
                assert_int_equal(atoi(value), counts[i] - 1);
                unmount_image();
        }
}

static void test_devices_and_owners(void **state)
{
        struct entry_meta device = { .type = ENTRY_CHAR_DEVICE,
                                     .mode = 0620,
                                     .uid = 4000000000,
                                     .gid = 5,
                                     .rdev = makedev(136, 70000) };
        struct image_builder builder;

        (void)state;
        if (!have_mount)
                skip();
        for (int all_root = 0; all_root < 2; all_root++) {
                builder_start(&builder, image, all_root ? "-all-root -comp gzip" : "-comp gzip");
                builder_add(&builder, "tty", &device, NULL);
                builder_add(&builder, "socket",
                            &(struct entry_meta){ .type = ENTRY_SOCKET, .mtime = -5 }, NULL);
                builder_finish(&builder);
                builder_end(&builder);
                assert_true(mount_image(image));
                assert_int_equal(stat_target("tty").st_uid, all_root ? 0 : 4000000000);
                assert_int_equal(stat_target("tty").st_gid, all_root ? 0 : 5);
                assert_int_equal(stat_target("tty").st_mode, S_IFCHR | 0620);
                assert_true(stat_target("tty").st_rdev == makedev(136, 70000));
                assert_true(S_ISSOCK(stat_target("socket").st_mode));
                assert_int_equal(stat_target("socket").st_mtime, 0);
                unmount_image();
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_read_by_unsquashfs),
                cmocka_unit_test(test_read_by_kernel),
                cmocka_unit_test(test_read_by_libsquashfs),
                cmocka_unit_test(test_stats),
                cmocka_unit_test(test_one_size),
                cmocka_unit_test(test_same_bytes),
                cmocka_unit_test(test_super_block),
                cmocka_unit_test(test_sparse_giant),
                cmocka_unit_test(test_big_directory),
                cmocka_unit_test(test_many_xattrs),
                cmocka_unit_test(test_devices_and_owners),
        };

        return cmocka_run_group_tests_name("squashfs writer", tests, set_up, tear_down);
}
