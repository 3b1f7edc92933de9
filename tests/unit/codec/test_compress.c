/* codec/: what is compressed decompresses to the same, and the same data give the same bytes. */
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

#include "codec/codec.h"
#include "util/cleanup.h"
#include "util/strbuf.h"

/* Collects what it is given; after limit bytes it fails. */
struct memory_sink {
        struct byte_sink base;
        struct strbuf text;
        size_t limit;
};

static int memory_write(struct byte_sink *base, const void *data, size_t size, struct error *err)
{
        struct memory_sink *sink = (struct memory_sink *)base;

        if (size > sink->limit - sink->text.length)
                return error_set(err, ENOSPC, "no space");
        return strbuf_append_mem(&sink->text, data, size);
}

static char *make_data(size_t size)
{
        char *data = malloc(size + 1);
        uint32_t random = 1;

        assert_non_null(data);
        for (size_t i = 0; i < size; i++) {
                random = random * 1103515245 + 12345;
                data[i] = i % 8192 < 4096 ? (char)(random >> 24) : "abc"[i % 3];
        }
        return data;
}

/* Compress in pieces of the given size. */
static void compress(enum codec_format format, unsigned int threads, const char *data, size_t size,
                     size_t piece, struct memory_sink *sink)
{
        struct error err = ERROR_INIT;
        struct codec_compressor *compressor =
                codec_compressor_open(format, threads, &sink->base, &err);

        assert_non_null(compressor);
        for (size_t done = 0; done < size; done += piece) {
                size_t part = size - done < piece ? size - done : piece;

                assert_int_equal(
                        byte_sink_write(codec_compressor_sink(compressor), data + done, part, &err),
                        0);
        }
        assert_int_equal(codec_compressor_finish(compressor, &err), 0);
        codec_compressor_close(compressor);
}

static void expect_original(const struct memory_sink *sink, const char *data, size_t size)
{
        struct error err = ERROR_INIT;
        struct stream *memory = stream_from_memory(sink->text.data, sink->text.length, &err);
        auto_stream struct stream *stream = memory ? codec_open(memory, &err) : NULL;
        auto_free char *copy = malloc(size + 1);

        assert_non_null(stream);
        assert_non_null(copy);
        if (stream_read_full(stream, copy, size + 1, &err) != (ssize_t)size)
                fail_msg("%s", err.message);
        assert_memory_equal(copy, data, size);
}

static void test_round_trip(void **state)
{
        static const size_t sizes[] = { 0, 1, 1000, 262144, 5000000 };
        static const enum codec_format formats[] = { CODEC_GZIP, CODEC_ZSTD };

        (void)state;
        for (size_t i = 0; i < ARRAY_SIZE(sizes) * ARRAY_SIZE(formats); i++) {
                size_t size = sizes[i / ARRAY_SIZE(formats)];
                enum codec_format format = formats[i % ARRAY_SIZE(formats)];
                struct memory_sink one = { .base = { memory_write }, .limit = SIZE_MAX };
                struct memory_sink two = { .base = { memory_write }, .limit = SIZE_MAX };
                auto_free char *data = make_data(size);

                compress(format, 1, data, size, size + 1, &one);
                compress(format, 4, data, size, 70001, &two);
                expect_original(&one, data, size);
                assert_int_equal(one.text.length, two.text.length);
                assert_memory_equal(one.text.data, two.text.data, one.text.length);
                strbuf_release(&one.text);
                strbuf_release(&two.text);
        }
}

static void test_failing_target(void **state)
{
        static const enum codec_format formats[] = { CODEC_GZIP, CODEC_ZSTD };
        auto_free char *data = make_data(2000000);

        (void)state;
        for (size_t i = 0; i < ARRAY_SIZE(formats); i++) {
                struct memory_sink sink = { .base = { memory_write }, .limit = 1000 };
                struct error err = ERROR_INIT;
                struct codec_compressor *compressor =
                        codec_compressor_open(formats[i], 2, &sink.base, &err);

                assert_non_null(compressor);
                if (byte_sink_write(codec_compressor_sink(compressor), data, 2000000, &err) == 0)
                        assert_int_equal(codec_compressor_finish(compressor, &err), -1);
                assert_int_equal(err.code, ENOSPC);
                codec_compressor_close(compressor);
                strbuf_release(&sink.text);
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_round_trip),
                cmocka_unit_test(test_failing_target),
        };

        return cmocka_run_group_tests_name("codec compress", tests, NULL, NULL);
}
