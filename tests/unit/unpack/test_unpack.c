/*
 * unpack/: images of this program's writer and of squashfs-tools extracted, crafted
 * ones refused, failures named.
 */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "image_builder.h"
#include "sample_image.h"
#include "unpack/unpack.h"
#include "util/cancel.h"
#include "util/cleanup.h"
#include "util/io.h"
#include "util/path.h"

static char scratch[] = "/tmp/enroot-test-unpack-XXXXXX";
static char image_path[64], second_path[64], target[64];

static int set_up(void **state)
{
        (void)state;
        if (!mkdtemp(scratch))
                return -1;
        (void)snprintf(image_path, sizeof(image_path), "%s/image", scratch);
        (void)snprintf(second_path, sizeof(second_path), "%s/second", scratch);
        (void)snprintf(target, sizeof(target), "%s/target", scratch);
        return 0;
}

static int tear_down(void **state)
{
        struct error err = ERROR_INIT;

        (void)state;
        return path_remove_tree(AT_FDCWD, scratch, &err);
}

static int new_target(void)
{
        struct error err = ERROR_INIT;
        int fd;

        assert_int_equal(path_remove_tree(AT_FDCWD, target, &err), 0);
        assert_int_equal(mkdir(target, 0700), 0);
        fd = open(target, O_PATH | O_DIRECTORY | O_CLOEXEC);
        assert_true(fd >= 0);
        return fd;
}

static int unpack(const char *path, int dir_fd, unsigned int threads, struct report *report,
                  struct error *err)
{
        auto_close int fd = open(path, O_RDONLY | O_CLOEXEC);
        auto_squashfs_image struct squashfs_image *image = squashfs_open(fd, "image", err);
        const struct unpack_options options = { .threads = threads, .report = report };

        return image ? unpack_image(image, dir_fd, &options, err) : -1;
}

static void expect_unpacked(unsigned int threads)
{
        auto_close int dir_fd = new_target();
        struct report report = { .message = NULL };
        struct error err = ERROR_INIT;

        if (unpack(image_path, dir_fd, threads, &report, &err) < 0)
                fail_msg("%s", err.message);
        sample_check_directory(dir_fd, SAMPLE_EXTRACTED);
        assert_true(report.progress.entries > 1500);
        assert_true(report.progress.bytes_written > 3000000);
}

static void expect_failure(int dir_fd, int code, const char *message)
{
        struct error err = ERROR_INIT;

        assert_int_equal(unpack(image_path, dir_fd, 2, NULL, &err), -1);
        if (err.code != code || !strstr(err.message, message))
                fail_msg("\"%s\" (%d) is not \"%s\" (%d)", err.message, err.code, message, code);
}

/* ---- */

static void test_samples(void **state)
{
        static const char *const words[] = { "-comp zstd", "-b 4K -noD", "-b 1M -noF",
                                             "-comp lzo" };

        (void)state;
        for (size_t i = 0; i < ARRAY_SIZE(words); i++) {
                if (!sample_build(image_path, words[i]))
                        continue;
                expect_unpacked(1);
                expect_unpacked(4);
        }
}

/* A umask takes nothing away, and no thread count is too much or too little. */
static void test_umask(void **state)
{
        mode_t before = umask(077);

        (void)state;
        assert_true(sample_build(image_path, "-comp zstd"));
        expect_unpacked(1000);
        expect_unpacked(0);
        (void)umask(before);
}

/* With a limit of open files, of which directories may use what is above 512. */
static void unpack_with_limit(rlim_t soft, rlim_t hard)
{
        const struct rlimit limit = { .rlim_cur = soft, .rlim_max = hard };
        struct rlimit after;

        if (setrlimit(RLIMIT_NOFILE, &limit) < 0)
                _exit(1);
        expect_unpacked(3);
        if (getrlimit(RLIMIT_NOFILE, &after) < 0 || after.rlim_cur != soft)
                _exit(2);
        _exit(0);
}

static void test_open_files(void **state)
{
        static const rlim_t limits[][2] = { { 300, 300 }, { 300, 520 }, { 300, 4000 } };

        (void)state;
        assert_true(sample_build(image_path, "-comp zstd"));
        for (size_t i = 0; i < ARRAY_SIZE(limits); i++) {
                int status;
                pid_t pid = fork();

                if (pid == 0)
                        unpack_with_limit(limits[i][0], limits[i][1]);
                assert_int_equal(waitpid(pid, &status, 0), pid);
                assert_int_equal(status, 0);
        }
}

/* A file so large that all threads write it together. */
static void test_shared_file(void **state)
{
        const uint64_t size = (uint64_t)100 << 20, offsets[] = { 12345, 50 << 20, 90 << 20 };
        auto_free void *piece = make_content(300000, 3);
        auto_free char *buffer = malloc(300000);
        auto_close int dir_fd = new_target(), fd = -1;
        struct image_builder builder;
        struct error err = ERROR_INIT;
        struct stat st;

        (void)state;
        assert_true(builder_start(&builder, image_path, "-comp zstd"));
        builder_sparse(&builder, "large", size, offsets, ARRAY_SIZE(offsets), piece, 300000);
        builder_add(&builder, "also",
                    &(struct entry_meta){ .type = ENTRY_HARDLINK, .target = (char *)"large" },
                    NULL);
        builder_finish(&builder);
        builder_end(&builder);
        assert_int_equal(unpack(image_path, dir_fd, 3, NULL, &err), 0);
        fd = openat(dir_fd, "also", O_RDONLY | O_CLOEXEC);
        assert_int_equal(fstat(fd, &st), 0);
        assert_int_equal(st.st_size, size);
        assert_int_equal(st.st_nlink, 2);
        assert_int_equal(st.st_mtime, 1000);
        assert_true(st.st_blocks < 20000);
        for (size_t i = 0; i < ARRAY_SIZE(offsets); i++) {
                assert_int_equal(pread(fd, buffer, 300000, (off_t)offsets[i]), 300000);
                assert_memory_equal(buffer, piece, 300000);
        }
}

/* ---- images of other tools ---- */

static void expect_readable(const char *const *argv)
{
        auto_squashfs_image struct squashfs_image *image = NULL;
        auto_close int fd = -1;
        struct error err = ERROR_INIT;

        (void)unlink(second_path);
        if (run_quietly(argv) != 0) {
                print_message("skipped: %s\n", argv[0]);
                return;
        }
        fd = open(second_path, O_RDONLY | O_CLOEXEC);
        image = squashfs_open(fd, second_path, &err);
        if (!image && err.code == EOPNOTSUPP) {
                print_message("skipped: %s\n", err.message);
                return;
        }
        if (!image)
                fail_msg("%s", err.message);
        sample_check_image(image, SAMPLE_EXTRACTED);
}

static void test_other_tools(void **state)
{
        static const char *const options[][4] = {
                { "-comp", "gzip", "-b", "4K" },
                { "-comp", "zstd", "-b", "1M" },
                { "-comp", "lz4", "-b", "128K" },
                { "-comp", "xz", "-Xbcj", "x86" },
                { "-comp", "lzo", "-noD", "-noF" },
                { "-comp", "lzo", "-b", "16K" },
                { "-noI", "-noD", "-noF", "-noX" },
                { "-no-fragments", "-noId", "-no-exports", "-noI" },
                { "-always-use-fragments", "-no-duplicates", "-b", "32K" },
        };

        (void)state;
        assert_true(sample_build(image_path, "-comp zstd"));
        expect_unpacked(2);
        for (size_t i = 0; i < ARRAY_SIZE(options); i++) {
                const char *const *o = options[i];

                expect_readable((const char *[]){ "mksquashfs", target, second_path, o[0], o[1],
                                                  o[2], o[3], NULL });
        }
        expect_readable((const char *[]){ "gensquashfs", "-D", target, "-x", "-k", "-c", "zstd",
                                          "-b", "8192", second_path, NULL });
}

/* ---- refusals ---- */

static void test_existing(void **state)
{
        auto_close int dir_fd = new_target();

        (void)state;
        assert_true(sample_build(image_path, "-comp zstd"));
        assert_int_equal(symlinkat("/tmp", dir_fd, "bin"), 0);
        expect_failure(dir_fd, EEXIST, "extract /bin: mkdir");
        assert_int_equal(unlinkat(dir_fd, "bin", 0), 0);
        (void)close(dir_fd);
        dir_fd = new_target();
        assert_int_equal(symlinkat("/tmp/elsewhere", dir_fd, "sparse"), 0);
        expect_failure(dir_fd, EEXIST, "extract /sparse: create");
}

/* Let the entry called name refer to the inode that the entry called like refers to. */
static void redirect(const char *name, const char *like)
{
        auto_close int fd = open(image_path, O_RDWR | O_CLOEXEC);
        uint8_t bytes[20000];
        ssize_t size = pread(fd, bytes, sizeof(bytes), 0);
        const uint8_t *from = memmem(bytes, (size_t)size, like, strlen(like));
        const uint8_t *to = memmem(bytes, (size_t)size, name, strlen(name));

        assert_non_null(from);
        assert_non_null(to);
        /* An entry is offset, number, type, length, all of 16 bits, and the name. */
        assert_int_equal(pwrite(fd, from - 8, 2, to - 8 - bytes), 2);
}

/* CVE-2012-4025 and the like: a few inodes that describe an endless tree. */
static void test_loop(void **state)
{
        static const char *const likes[] = { "outer-directory", "inner-directory" };

        (void)state;
        for (size_t i = 0; i < ARRAY_SIZE(likes); i++) {
                auto_close int dir_fd = new_target();
                struct image_builder builder;

                assert_true(builder_start(&builder, image_path, "-noI -noD -noF -noX -noId"));
                builder_directory(&builder, "outer-directory");
                builder_directory(&builder, "outer-directory/inner-directory");
                builder_directory(&builder, "outer-directory/inner-directory/deepest");
                builder_finish(&builder);
                builder_end(&builder);
                redirect("deepest", likes[i]);
                expect_failure(dir_fd, EBADMSG, "contains itself");
        }
}

static void test_depth(void **state)
{
        static char path[2 * 2040];

        (void)state;
        for (size_t levels = 1500; levels <= 2040; levels += 540) {
                auto_close int dir_fd = new_target();
                struct image_builder builder;
                struct error err = ERROR_INIT;

                memset(path, 'a', sizeof(path));
                for (size_t i = 1; i < 2 * levels; i += 2)
                        path[i] = '/';
                path[2 * levels - 1] = '\0';
                assert_true(builder_start(&builder, image_path, "-comp zstd"));
                builder_directory(&builder, path);
                builder_finish(&builder);
                builder_end(&builder);
                if (levels > 2000)
                        expect_failure(dir_fd, EBADMSG, "levels deep");
                else
                        assert_int_equal(unpack(image_path, dir_fd, 2, NULL, &err), 0);
        }
}

static void test_damaged_data(void **state)
{
        auto_close int dir_fd = new_target(), fd = -1;
        auto_free void *content = make_content(200000, 5);
        struct image_builder builder;

        (void)state;
        assert_true(builder_start(&builder, image_path, "-comp zstd"));
        builder_file(&builder, "some-file", content, 200000);
        builder_finish(&builder);
        builder_end(&builder);
        fd = open(image_path, O_RDWR | O_CLOEXEC);
        assert_int_equal(pwrite(fd, "not a zstd frame", 16, 96), 16);
        expect_failure(dir_fd, EBADMSG, "extract /some-file: ");
}

/* In a mount namespace of its own, on a file system of one MiB. Exits 77 where that is denied. */
static void fill_disk(void)
{
        struct error err = ERROR_INIT;
        char uid_map[32], gid_map[32];
        int dir_fd;

        (void)snprintf(uid_map, sizeof(uid_map), "0 %u 1", geteuid());
        (void)snprintf(gid_map, sizeof(gid_map), "0 %u 1", getegid());
        if (unshare(CLONE_NEWUSER | CLONE_NEWNS) < 0 ||
            io_write_file(AT_FDCWD, "/proc/self/uid_map", uid_map, &err) < 0 ||
            io_write_file(AT_FDCWD, "/proc/self/setgroups", "deny", &err) < 0 ||
            io_write_file(AT_FDCWD, "/proc/self/gid_map", gid_map, &err) < 0 ||
            mount("tmpfs", target, "tmpfs", 0, "size=1m") < 0)
                _exit(77);
        dir_fd = open(target, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (unpack(image_path, dir_fd, 2, NULL, &err) == 0 || err.code != ENOSPC ||
            !strstr(err.message, "extract /")) {
                (void)fprintf(stderr, "%s\n", err.message);
                _exit(1);
        }
        _exit(0);
}

static void test_full_disk(void **state)
{
        int status;
        pid_t pid;

        (void)state;
        (void)close(new_target());
        assert_true(sample_build(image_path, "-comp zstd"));
        pid = fork();
        if (pid == 0)
                fill_disk();
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_true(WIFEXITED(status));
        if (WEXITSTATUS(status) == 77)
                skip();
        assert_int_equal(WEXITSTATUS(status), 0);
}

/* The note stays taken, so this comes last. */
static void test_cancelled(void **state)
{
        auto_close int dir_fd = new_target();

        (void)state;
        assert_true(sample_build(image_path, "-comp zstd"));
        cancel_install();
        (void)raise(SIGTERM);
        expect_failure(dir_fd, EINTR, "");
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_samples),     cmocka_unit_test(test_umask),
                cmocka_unit_test(test_shared_file), cmocka_unit_test(test_other_tools),
                cmocka_unit_test(test_existing),    cmocka_unit_test(test_loop),
                cmocka_unit_test(test_depth),       cmocka_unit_test(test_damaged_data),
                cmocka_unit_test(test_full_disk),   cmocka_unit_test(test_open_files),
                cmocka_unit_test(test_cancelled),
        };

        return cmocka_run_group_tests(tests, set_up, tear_down);
}
