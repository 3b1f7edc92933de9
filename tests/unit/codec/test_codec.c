/* codec/: every format, in pieces of every size, complete, cut off and damaged. */
#include <bzlib.h>
#include <errno.h>
#include <isa-l/igzip_lib.h>
#include <lz4frame.h>
#include <lzma.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <zstd.h>

#include <cmocka.h>

#include "codec/codec.h"
#include "util/cleanup.h"
#include "util/strbuf.h"

#define COMPRESSED_MAX (1 << 20)

/* ---- compressing, one frame a call ---- */

static void compress_plain(const void *data, size_t size, struct strbuf *out)
{
        strbuf_append_mem(out, data, size);
}

static void compress_gzip(const void *data, size_t size, struct strbuf *out)
{
        auto_free uint8_t *buffer = malloc(COMPRESSED_MAX);
        struct isal_zstream stream;

        isal_deflate_init(&stream);
        stream.gzip_flag = IGZIP_GZIP;
        stream.end_of_stream = 1;
        stream.next_in = (uint8_t *)data;
        stream.avail_in = (uint32_t)size;
        stream.next_out = buffer;
        stream.avail_out = COMPRESSED_MAX;
        assert_int_equal(isal_deflate(&stream), COMP_OK);
        assert_int_equal(stream.internal_state.state, ZSTATE_END);
        strbuf_append_mem(out, buffer, stream.total_out);
}

static void compress_zstd(const void *data, size_t size, struct strbuf *out)
{
        auto_free char *buffer = malloc(COMPRESSED_MAX);
        ZSTD_CCtx *context = ZSTD_createCCtx();
        size_t n;

        ZSTD_CCtx_setParameter(context, ZSTD_c_checksumFlag, 1);
        n = ZSTD_compress2(context, buffer, COMPRESSED_MAX, data, size);
        ZSTD_freeCCtx(context);
        assert_false(ZSTD_isError(n));
        strbuf_append_mem(out, buffer, n);
}

static void compress_xz(const void *data, size_t size, struct strbuf *out)
{
        auto_free uint8_t *buffer = malloc(COMPRESSED_MAX);
        size_t n = 0;

        assert_int_equal(lzma_easy_buffer_encode(0, LZMA_CHECK_CRC64, NULL, data, size, buffer, &n,
                                                 COMPRESSED_MAX),
                         LZMA_OK);
        strbuf_append_mem(out, buffer, n);
}

static void compress_bzip2(const void *data, size_t size, struct strbuf *out)
{
        auto_free char *buffer = malloc(COMPRESSED_MAX);
        unsigned int n = COMPRESSED_MAX;

        assert_int_equal(
                BZ2_bzBuffToBuffCompress(buffer, &n, (char *)data, (unsigned int)size, 1, 0, 0),
                BZ_OK);
        strbuf_append_mem(out, buffer, n);
}

static void compress_lz4(const void *data, size_t size, struct strbuf *out)
{
        auto_free char *buffer = malloc(COMPRESSED_MAX);
        LZ4F_preferences_t preferences = { .frameInfo.contentChecksumFlag =
                                                   LZ4F_contentChecksumEnabled };
        size_t n = LZ4F_compressFrame(buffer, COMPRESSED_MAX, data, size, &preferences);

        assert_false(LZ4F_isError(n));
        strbuf_append_mem(out, buffer, n);
}

static const struct {
        const char *name;
        void (*compress)(const void *data, size_t size, struct strbuf *out);
} formats[] = {
        { "plain", compress_plain }, { "gzip", compress_gzip },   { "zstd", compress_zstd },
        { "xz", compress_xz },       { "bzip2", compress_bzip2 }, { "lz4", compress_lz4 },
};

/* ---- a source that gives its bytes in pieces, and may end in an error ---- */

struct pieces {
        struct stream base;
        const char *data;
        size_t left, piece;
        int failure; /* errno value instead of the end */
};

static unsigned int open_sources;

static ssize_t pieces_read(struct stream *stream, void *buffer, size_t size, struct error *err)
{
        struct pieces *self = (struct pieces *)stream;
        size_t n = size < self->piece ? size : self->piece;

        if (n > self->left)
                n = self->left;
        if (n == 0 && self->failure)
                return error_set(err, self->failure, "the source failed");
        memcpy(buffer, self->data, n);
        self->data += n;
        self->left -= n;
        return (ssize_t)n;
}

static void pieces_close(struct stream *stream)
{
        open_sources--;
        free(stream);
}

static struct stream *open_pieces(const char *data, size_t size, size_t piece, int failure)
{
        struct pieces *self = calloc(1, sizeof(*self));

        assert_non_null(self);
        *self = (struct pieces){
                { .read = pieces_read, .close = pieces_close }, data, size, piece, failure
        };
        open_sources++;
        return &self->base;
}

/* Read to the end by reads of the given size. Returns 0, or -1 with *err. */
static int read_all(struct stream *stream, size_t read_size, struct strbuf *out, struct error *err)
{
        auto_free char *buffer = malloc(read_size);
        ssize_t n;

        while ((n = stream->read(stream, buffer, read_size, err)) > 0)
                strbuf_append_mem(out, buffer, (size_t)n);
        return (int)n;
}

/* piece 0: from memory, which lends its bytes. */
static int decompress(const char *data, size_t size, size_t piece, size_t read_size,
                      struct strbuf *out, struct error *err)
{
        struct stream *source =
                piece > 0 ? open_pieces(data, size, piece, 0) : stream_from_memory(data, size, err);
        auto_stream struct stream *stream = codec_open(source, err);

        return stream ? read_all(stream, read_size, out, err) : -1;
}

static void check_equal(const struct strbuf *out, const void *expected, size_t size)
{
        assert_int_equal(out->length, size);
        assert_memory_equal(strbuf_text(out), expected, size);
}

/* Text that compresses, with a part that does not. */
static void make_sample(char *data, size_t size)
{
        uint32_t state = 1;

        for (size_t i = 0; i < size; i++) {
                state = state * 1664525 + 1013904223;
                data[i] = i % 4096 < 3000 ? (char)('a' + i / 7 % 20) : (char)(state >> 24);
        }
}

#define SAMPLE_SIZE 100000

static char sample[SAMPLE_SIZE];

/* ---- tests ---- */

static void test_formats(void **state)
{
        static const size_t piece_sizes[] = { 0, 1, 2, 7, 4096, COMPRESSED_MAX };
        static const size_t read_sizes[] = { 1, 100, 65536, 4 * SAMPLE_SIZE };

        (void)state;
        for (size_t f = 0; f < ARRAY_SIZE(formats); f++) {
                auto_strbuf struct strbuf packed = STRBUF_INIT;

                formats[f].compress(sample, SAMPLE_SIZE, &packed);
                for (size_t p = 0; p < ARRAY_SIZE(piece_sizes); p++) {
                        for (size_t r = 0; r < ARRAY_SIZE(read_sizes); r++) {
                                auto_strbuf struct strbuf out = STRBUF_INIT;
                                struct error err = ERROR_INIT;

                                if (decompress(packed.data, packed.length, piece_sizes[p],
                                               read_sizes[r], &out, &err) < 0)
                                        fail_msg("%s", err.message);
                                check_equal(&out, sample, SAMPLE_SIZE);
                        }
                }
        }
        assert_int_equal(open_sources, 0);
}

/* Several members, frames or streams, one of them empty, in pieces that split everything. */
static void test_concatenated(void **state)
{
        (void)state;
        for (size_t f = 0; f < ARRAY_SIZE(formats); f++) {
                for (size_t piece = 0; piece < 20; piece++) {
                        auto_strbuf struct strbuf packed = STRBUF_INIT, out = STRBUF_INIT;
                        struct error err = ERROR_INIT;

                        formats[f].compress(sample, 1000, &packed);
                        formats[f].compress("", 0, &packed);
                        formats[f].compress(sample + 1000, 2345, &packed);
                        formats[f].compress(sample + 3345, 1, &packed);
                        if (decompress(packed.data, packed.length, piece, 777, &out, &err) < 0)
                                fail_msg("%s", err.message);
                        check_equal(&out, sample, 3346);
                }
        }
}

static void test_empty(void **state)
{
        (void)state;
        for (size_t f = 0; f < ARRAY_SIZE(formats); f++) {
                auto_strbuf struct strbuf packed = STRBUF_INIT, out = STRBUF_INIT;
                struct error err = ERROR_INIT;

                formats[f].compress("", 0, &packed);
                assert_int_equal(
                        decompress(strbuf_text(&packed), packed.length, 1, 100, &out, &err), 0);
                assert_int_equal(out.length, 0);
        }
}

/* Whatever is cut off at the end is an error, and a wrong byte never changes the content. */
static void test_truncated_and_damaged(void **state)
{
        (void)state;
        for (size_t f = 1; f < ARRAY_SIZE(formats); f++) {
                auto_strbuf struct strbuf packed = STRBUF_INIT;

                formats[f].compress(sample, 6000, &packed);
                for (size_t length = 6; length < packed.length; length++) {
                        auto_strbuf struct strbuf out = STRBUF_INIT;
                        struct error err = ERROR_INIT;

                        assert_int_equal(decompress(packed.data, length, 100, 1000, &out, &err),
                                         -1);
                        assert_int_equal(err.code, EIO);
                        assert_non_null(strstr(err.message, formats[f].name));
                }
                for (size_t i = 6; i < packed.length; i++) {
                        auto_strbuf struct strbuf out = STRBUF_INIT;
                        struct error err = ERROR_INIT;

                        packed.data[i] ^= 0x10;
                        if (decompress(packed.data, packed.length, 100, 1000, &out, &err) == 0)
                                check_equal(&out, sample, 6000);
                        else
                                assert_true(err.code == EBADMSG || err.code == EIO ||
                                            err.code == EFBIG);
                        packed.data[i] ^= 0x10;
                }
        }
}

static void test_gzip_details(void **state)
{
        /* Made by gzip(1), "hello\n", with all optional fields put in by hand. */
        static const char fields[] = "\x1f\x8b\x08\x1c\x00\x00\x00\x00\x00\x03"
                                     "\x05\x00"
                                     "extra"
                                     "name\0"
                                     "comment\0"
                                     "\xcb\x48\xcd\xc9\xc9\xe7\x02\x00"
                                     "\x20\x30\x3a\x36\x06\x00\x00\x00";
        static const char distant[] = "\x1f\x8b\x08\x00\x97\xf9\x01\x6b\x02\xff\xcb\x48\xcd\xc9"
                                      "\xc9\x57\x28\xcf\x2f\xca\x49\x51\xc8\x18\x39\xdb\x0a\x77"
                                      "\xcc\x50\x8d\x90\x4e\xc2\x64\x8a\x02\x00\x00";
        static const size_t size = sizeof(fields) - 1;
        char copy[sizeof(fields) + 512] = { 0 };
        struct error err = ERROR_INIT;

        (void)state;
        for (size_t piece = 1; piece < size + 2; piece++) {
                auto_strbuf struct strbuf out = STRBUF_INIT;

                assert_int_equal(decompress(fields, size, piece, 100, &out, &err), 0);
                check_equal(&out, "hello\n", 6);
        }

        /* Zeros behind the last member, then another member, then something else. */
        memcpy(copy, fields, size);
        for (size_t piece = 1; piece < 100; piece += 13) {
                auto_strbuf struct strbuf out = STRBUF_INIT;

                assert_int_equal(decompress(copy, sizeof(copy), piece, 100, &out, &err), 0);
                check_equal(&out, "hello\n", 6);
        }
        memcpy(copy + sizeof(copy) - size, fields, size);
        for (size_t piece = 1; piece < 100; piece += 13) {
                auto_strbuf struct strbuf out = STRBUF_INIT;

                assert_int_equal(decompress(copy, sizeof(copy), piece, 100, &out, &err), 0);
                check_equal(&out, "hello\nhello\n", 12);
        }
        memcpy(copy + sizeof(copy) - 20, "garbage and more xyz", 20);
        for (size_t at = 0; at < 2; at++) {
                auto_strbuf struct strbuf out = STRBUF_INIT;
                size_t length = at == 0 ? sizeof(copy) : size + 3;

                memcpy(copy + size, "xyz", 3);
                err = (struct error)ERROR_INIT;
                assert_int_equal(decompress(copy, length, 64, 100, &out, &err), -1);
                assert_int_equal(err.code, EBADMSG);
        }

        /* A match that starts before the data, found by fuzzing. */
        for (size_t piece = 0; piece < sizeof(distant); piece++) {
                auto_strbuf struct strbuf out = STRBUF_INIT;

                assert_int_equal(decompress(distant, sizeof(distant) - 1, piece, 100, &out, &err),
                                 -1);
                assert_int_equal(err.code, EBADMSG);
        }

        /* Wrong CRC-32, wrong length. */
        for (size_t i = size - 8; i < size; i++) {
                auto_strbuf struct strbuf out = STRBUF_INIT;

                memcpy(copy, fields, size);
                copy[i] ^= 1;
                assert_int_equal(decompress(copy, size, 64, 100, &out, &err), -1);
                assert_int_equal(err.code, EBADMSG);
                assert_non_null(strstr(err.message, "checksum"));
        }
}

static void test_skippable_frames(void **state)
{
        static const char skippable[] = "\x5e\x2a\x4d\x18\x03\x00\x00\x00xyz";
        auto_strbuf struct strbuf packed = STRBUF_INIT, out = STRBUF_INIT;
        struct error err = ERROR_INIT;

        (void)state;
        strbuf_append_mem(&packed, skippable, sizeof(skippable) - 1);
        compress_zstd(sample, 1000, &packed);
        strbuf_append_mem(&packed, skippable, sizeof(skippable) - 1);
        compress_zstd(sample + 1000, 1000, &packed);
        strbuf_append_mem(&packed, skippable, sizeof(skippable) - 1);
        assert_int_equal(decompress(packed.data, packed.length, 5, 100, &out, &err), 0);
        check_equal(&out, sample, 2000);
}

/* What wants more memory than the limit is refused before it is allocated. */
static void test_limits(void **state)
{
        /* A zstd frame header with a window of 2 GiB; an xz block with a 1 GiB dictionary. */
        static const char zstd_window[] = "\x28\xb5\x2f\xfd\x00\xa8\x01\x00\x00";
        auto_strbuf struct strbuf packed = STRBUF_INIT, out = STRBUF_INIT;
        struct error err = ERROR_INIT;
        lzma_options_lzma options;
        lzma_filter filters[] = { { LZMA_FILTER_LZMA2, &options }, { LZMA_VLI_UNKNOWN, NULL } };
        uint8_t buffer[1024];
        size_t n = 0, header_size;
        uint32_t crc;

        (void)state;
        assert_int_equal(decompress(zstd_window, sizeof(zstd_window) - 1, 64, 100, &out, &err), -1);
        assert_int_equal(err.code, EFBIG);
        assert_non_null(strstr(err.message, "128 MiB"));

        lzma_lzma_preset(&options, 0);
        assert_int_equal(lzma_stream_buffer_encode(filters, LZMA_CHECK_CRC32, NULL,
                                                   (const uint8_t *)"x", 1, buffer, &n,
                                                   sizeof(buffer)),
                         LZMA_OK);
        strbuf_append_mem(&packed, buffer, n);
        /* The block header is at 12: its length in words less 1, flags, both sizes (small
         * here), filter, length of its properties, size of the dictionary; last a CRC-32. */
        assert_int_equal(packed.data[16], LZMA_FILTER_LZMA2);
        packed.data[18] = 36;
        header_size = (size_t)packed.data[12] * 4;
        crc = lzma_crc32((uint8_t *)packed.data + 12, header_size, 0);
        memcpy(packed.data + 12 + header_size, &crc, sizeof(crc));
        assert_int_equal(decompress(packed.data, packed.length, 64, 100, &out, &err), -1);
        assert_int_equal(err.code, EFBIG);
        assert_non_null(strstr(err.message, "128 MiB"));
}

/* Data that only begins like something else, and very short data. */
static void test_lookalikes(void **state)
{
        static const char *const samples[] = {
                "",
                "a",
                "BZ",
                "BZh9",
                "BZh91",
                "BZhello world",
                "\x1f\x8b",
                "\x1f\x8b\x07xyz",
                "\x28\xb5\x2f",
                "\xfd"
                "7zXy.....",
                "usr/bin/",
        };

        (void)state;
        for (size_t i = 0; i < ARRAY_SIZE(samples); i++) {
                for (size_t piece = 0; piece < 4; piece++) {
                        auto_strbuf struct strbuf out = STRBUF_INIT;
                        struct error err = ERROR_INIT;

                        assert_int_equal(
                                decompress(samples[i], strlen(samples[i]), piece, 3, &out, &err),
                                0);
                        assert_string_equal(strbuf_text(&out), samples[i]);
                }
        }
}

/* The pieces of an uncompressed stream are lent on. */
static void test_plain_lends(void **state)
{
        auto_strbuf struct strbuf out = STRBUF_INIT;
        auto_stream struct stream *stream = NULL, *unlent = NULL;
        struct error err = ERROR_INIT;
        const void *piece;
        ssize_t n;

        (void)state;
        stream = codec_open(stream_from_memory(sample, SAMPLE_SIZE, &err), &err);
        assert_non_null(stream);
        while ((n = stream_next(stream, NULL, 0, &piece, &err)) > 0)
                strbuf_append_mem(&out, piece, (size_t)n);
        check_equal(&out, sample, SAMPLE_SIZE);
        assert_ptr_equal((const char *)piece, sample + SAMPLE_SIZE);

        unlent = codec_open(open_pieces("x", 1, 1, 0), &err);
        assert_non_null(unlent);
        assert_null(unlent->next);
}

static void test_source_fails(void **state)
{
        (void)state;
        for (size_t f = 0; f < ARRAY_SIZE(formats); f++) {
                auto_strbuf struct strbuf packed = STRBUF_INIT, out = STRBUF_INIT;
                auto_stream struct stream *stream = NULL;
                struct error err = ERROR_INIT;

                formats[f].compress(sample, 1000, &packed);
                stream =
                        codec_open(open_pieces(packed.data, packed.length / 2, 10, ENETDOWN), &err);
                assert_non_null(stream);
                assert_int_equal(read_all(stream, 100, &out, &err), -1);
                assert_int_equal(err.code, ENETDOWN);
                assert_string_equal(err.message, "the source failed");

                err = (struct error)ERROR_INIT;
                assert_null(codec_open(open_pieces("x", 1, 1, ENETDOWN), &err));
                assert_int_equal(err.code, ENETDOWN);
        }
        assert_int_equal(open_sources, 0);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_formats),      cmocka_unit_test(test_concatenated),
                cmocka_unit_test(test_empty),        cmocka_unit_test(test_truncated_and_damaged),
                cmocka_unit_test(test_gzip_details), cmocka_unit_test(test_skippable_frames),
                cmocka_unit_test(test_limits),       cmocka_unit_test(test_lookalikes),
                cmocka_unit_test(test_plain_lends),  cmocka_unit_test(test_source_fails),
        };

        make_sample(sample, SAMPLE_SIZE);
        return cmocka_run_group_tests(tests, NULL, NULL);
}
