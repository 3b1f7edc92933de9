/* codec/: points are noted, data comes out the same with them, and damage shows. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "codec/codec.h"
#include "sample.h"
#include "util/cleanup.h"
#include "util/io.h"

#define DATA_SIZE ((size_t)14 << 20)
#define AHEAD     ((size_t)64 << 20)

static uint8_t *data;

static int memory_file(const void *content, size_t size)
{
        int fd = memfd_create("test", MFD_CLOEXEC);

        assert_true(fd >= 0);
        assert_int_equal(io_write_full(fd, content, size), 0);
        return fd;
}

/* Append the member that zlib makes of size bytes from offset on. */
static void deflate_to(int fd, size_t offset, size_t size, int level)
{
        size_t length;
        auto_free uint8_t *member = make_member(data + offset, size, level, &length);

        assert_int_equal(io_write_full(fd, member, length), 0);
}

static uint64_t size_of(int fd)
{
        return (uint64_t)lseek(fd, 0, SEEK_END);
}

static int again(int fd)
{
        return fcntl(fd, F_DUPFD_CLOEXEC, 0);
}

/* Read to the end in steps, 0 for stream_next. Returns the size, or -1 with *err. */
static ssize_t read_all(struct stream *stream, size_t step, bool compare, struct error *err)
{
        auto_free uint8_t *buffer = malloc(step + 1);
        size_t total = 0;
        ssize_t n;

        for (;;) {
                const void *piece = buffer;

                n = step ? stream->read(stream, buffer, step, err)
                         : stream->next(stream, &piece, err);
                if (n <= 0)
                        return n < 0 ? -1 : (ssize_t)total;
                assert_true(total + (size_t)n <= DATA_SIZE);
                if (compare)
                        assert_memory_equal(piece, data + total, n);
                total += (size_t)n;
        }
}

/* Read a file while points are noted. Returns whether they are complete. */
static bool note(int fd, int points, size_t expected)
{
        struct error err = ERROR_INIT;
        atomic_bool complete = false;
        struct stream *source;
        auto_stream struct stream *stream = NULL;

        assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
        source = stream_from_fd(again(fd), &err);
        assert_non_null(source);
        stream = codec_open_noting(source, points, &complete, &err);
        assert_non_null(stream);
        assert_int_equal(read_all(stream, 512 << 10, true, &err), expected);
        return atomic_load(&complete);
}

static void expect_data(int fd, int points, size_t expected)
{
        static const unsigned int threads[] = { 1, 2, 5 };
        static const size_t steps[] = { 0, 100000 };

        for (size_t t = 0; t < ARRAY_SIZE(threads); t++) {
                for (size_t s = 0; s < ARRAY_SIZE(steps); s++) {
                        struct error err = ERROR_INIT;
                        auto_stream struct stream *stream =
                                codec_open_points(again(fd), size_of(fd), again(points), threads[t],
                                                  t ? AHEAD : 0, &err);

                        assert_non_null(stream);
                        assert_int_equal(read_all(stream, steps[s], true, &err), expected);
                }
        }
}

static void test_levels(void **state)
{
        (void)state;
        for (int level = 1; level <= 6; level += 5) {
                auto_close int fd = memory_file("", 0), points = memory_file("", 0);

                deflate_to(fd, 0, DATA_SIZE, level);
                assert_true(note(fd, points, DATA_SIZE));
                assert_true(size_of(points) < size_of(fd) / 25);
                expect_data(fd, points, DATA_SIZE);
        }
}

/*
 * What does not become smaller is stored: a point needs no border of blocks there, and its
 * window is stored as well.
 */
static void test_stored(void **state)
{
        auto_close int fd = memory_file("", 0), points = memory_file("", 0);

        uint64_t random = 1;

        (void)state;
        deflate_to(fd, 0, 1 << 20, 6);
        for (size_t i = DATA_SIZE / 2; i < DATA_SIZE; i++)
                data[i] ^= (uint8_t)((random = random * 6364136223846793005 + 1) >> 56);
        deflate_to(fd, 1 << 20, DATA_SIZE - (1 << 20), 0);
        assert_true(note(fd, points, DATA_SIZE));
        expect_data(fd, points, DATA_SIZE);
        free(data);
        data = make_text(DATA_SIZE);
}

/* As "cat a.gz b.gz" has it; the checksums of members end at their borders. */
static void test_members(void **state)
{
        auto_close int fd = memory_file("", 0), points = memory_file("", 0);
        static const size_t sizes[] = { 5 << 20, 100, 2 << 20, 1 << 20 };
        size_t offset = 0;

        (void)state;
        for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
                deflate_to(fd, offset, sizes[i], 6);
                offset += sizes[i];
        }
        deflate_to(fd, offset, DATA_SIZE - offset, 6);
        assert_int_equal(io_write_full(fd, "\0\0\0\0", 4), 0);
        assert_true(note(fd, points, DATA_SIZE));
        expect_data(fd, points, DATA_SIZE);
}

static void test_of_no_use(void **state)
{
        auto_close int shorter = memory_file("", 0);
        auto_close int plain = memory_file(data, DATA_SIZE), points = memory_file("", 0);

        (void)state;
        deflate_to(shorter, 0, 3 << 20, 6);
        assert_false(note(shorter, points, 3 << 20));
        assert_false(note(plain, points, DATA_SIZE));
}

static void test_a_full_disk_is_no_failure(void **state)
{
        auto_close int fd = memory_file("", 0), full = open("/dev/full", O_WRONLY | O_CLOEXEC);

        (void)state;
        deflate_to(fd, 0, DATA_SIZE, 6);
        assert_false(note(fd, full, DATA_SIZE));
}

static void flip(int fd, uint64_t at)
{
        uint8_t byte;

        assert_int_equal(pread(fd, &byte, 1, (off_t)at), 1);
        byte ^= 0x10;
        assert_int_equal(pwrite(fd, &byte, 1, (off_t)at), 1);
}

/* EBADMSG, when the file is opened or read. */
static void expect_damage(int fd, uint64_t size, int points)
{
        struct error err = ERROR_INIT;
        auto_stream struct stream *stream =
                codec_open_points(again(fd), size, again(points), 2, AHEAD, &err);

        if (stream)
                assert_int_equal(read_all(stream, 0, false, &err), -1);
        assert_int_equal(err.code, EBADMSG);
}

static void test_damage(void **state)
{
        auto_close int fd = memory_file("", 0), points = memory_file("", 0);
        uint64_t size, points_size;

        (void)state;
        deflate_to(fd, 0, DATA_SIZE, 1);
        assert_true(note(fd, points, DATA_SIZE));
        size = size_of(fd);
        points_size = size_of(points);

        /* The footer and the table; another file. */
        for (uint64_t at = points_size - 1; at > points_size - 128; at -= 3) {
                flip(points, at);
                expect_damage(fd, size, points);
                flip(points, at);
        }
        expect_damage(fd, size + 1, points);
        /* Not all of a window is used; what comes out must be right. */
        for (uint64_t at = 10; at < points_size; at += points_size / 7) {
                struct error err = ERROR_INIT;
                auto_stream struct stream *stream = NULL;

                flip(points, at);
                stream = codec_open_points(again(fd), size, again(points), 2, AHEAD, &err);
                assert_true(stream ? read_all(stream, 0, true, &err) == DATA_SIZE ||
                                             err.code == EBADMSG
                                   : err.code == EBADMSG);
                flip(points, at);
        }
        for (uint64_t at = size / 5; at < size; at += size / 5) {
                flip(fd, at);
                expect_damage(fd, size, points);
                flip(fd, at);
        }
        expect_data(fd, points, DATA_SIZE);

        /* Too short, each of them. */
        assert_int_equal(ftruncate(fd, (off_t)size - 4), 0);
        {
                struct error err = ERROR_INIT;
                auto_stream struct stream *stream =
                        codec_open_points(again(fd), size, again(points), 2, AHEAD, &err);

                assert_non_null(stream);
                assert_int_equal(read_all(stream, 0, true, &err), -1);
        }
        for (uint64_t end = points_size; end > 0; end = end * 3 / 4) {
                assert_int_equal(ftruncate(points, (off_t)end - 1), 0);
                expect_damage(fd, size, points);
        }
}

/* Closing early ends the threads, wherever they are. */
static void test_close(void **state)
{
        auto_close int fd = memory_file("", 0), points = memory_file("", 0);

        (void)state;
        deflate_to(fd, 0, DATA_SIZE, 1);
        assert_true(note(fd, points, DATA_SIZE));
        for (int pieces = 0; pieces < 3; pieces++) {
                struct error err = ERROR_INIT;
                const void *piece;
                auto_stream struct stream *stream =
                        codec_open_points(again(fd), size_of(fd), again(points), 3, AHEAD, &err);

                assert_non_null(stream);
                for (int i = 0; i < pieces; i++)
                        assert_true(stream->next(stream, &piece, &err) > 0);
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_levels),
                cmocka_unit_test(test_stored),
                cmocka_unit_test(test_members),
                cmocka_unit_test(test_of_no_use),
                cmocka_unit_test(test_a_full_disk_is_no_failure),
                cmocka_unit_test(test_damage),
                cmocka_unit_test(test_close),
        };
        int failed;

        data = make_text(DATA_SIZE);
        failed = cmocka_run_group_tests(tests, NULL, NULL);
        free(data);
        return failed;
}
