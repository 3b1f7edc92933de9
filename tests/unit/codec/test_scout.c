/* codec/: reading on while nobody reads, and what was passed comes all the same. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "codec/codec.h"
#include "sample.h"
#include "util/cleanup.h"
#include "util/io.h"

#define DATA_SIZE    ((size_t)40 << 20)
#define AHEAD        ((size_t)1 << 20)
#define CHUNKS_AHEAD ((size_t)32 << 20)

static uint8_t *data;
static uint8_t *packed;
static size_t packed_size;

/* ---- a blob that arrives ---- */

struct blob {
        struct stream base;
        int fd;
        size_t size;
        atomic_size_t here, at; /* bytes that have arrived, and that were read */
};

static void pause_briefly(void)
{
        nanosleep(&(struct timespec){ .tv_nsec = 2000000 }, NULL);
}

static ssize_t blob_read(struct stream *stream, void *buffer, size_t size, struct error *err)
{
        struct blob *blob = (struct blob *)stream;
        size_t left;
        ssize_t n;

        while ((left = atomic_load(&blob->here) - atomic_load(&blob->at)) == 0 &&
               atomic_load(&blob->at) < blob->size)
                pause_briefly();
        n = pread(blob->fd, buffer, size < left ? size : left, (off_t)atomic_load(&blob->at));
        if (n < 0)
                return error_errno(err, "blob");
        atomic_fetch_add(&blob->at, (size_t)n);
        return n;
}

static int blob_file(struct stream *stream, struct error *err)
{
        (void)err;
        return fcntl(((struct blob *)stream)->fd, F_DUPFD_CLOEXEC, 0);
}

static void blob_close(struct stream *stream)
{
        (void)stream; /* the fixture's */
}

/* ---- one layer ---- */

struct layer {
        struct blob blob;
        int points;
        atomic_bool complete;
        struct stream *stream;
};

static void open_layer(struct layer *layer, const uint8_t *content, size_t size, size_t here,
                       bool has_file)
{
        struct error err = ERROR_INIT;
        struct stream *noting;

        *layer = (struct layer){
                .blob = { .fd = memfd_create("blob", MFD_CLOEXEC), .size = size, .here = here }
        };
        layer->blob.base = (struct stream){ .read = blob_read,
                                            .file = has_file ? blob_file : NULL,
                                            .close = blob_close };
        layer->points = memfd_create("points", MFD_CLOEXEC);
        assert_int_equal(io_write_full(layer->blob.fd, content, size), 0);
        noting = codec_open_noting(&layer->blob.base, layer->points, &layer->complete, &err);
        assert_non_null(noting);
        layer->stream = codec_prefetch_scouting(noting, AHEAD, 2, CHUNKS_AHEAD, &err);
        assert_non_null(layer->stream);
}

static void close_layer(struct layer *layer)
{
        stream_close(layer->stream);
        (void)close(layer->blob.fd);
        (void)close(layer->points);
}

/* Until so much was read; without idle time for a minute, the test goes on as it is. */
static void wait_for_scout(struct layer *layer, size_t size)
{
        for (int i = 0; i < 30000 && atomic_load(&layer->blob.at) < size; i++)
                pause_briefly();
}

/* Read to the end in steps, 0 for stream_next. Returns the size, or -1 with *err. */
static ssize_t read_all(struct layer *layer, size_t step, struct error *err)
{
        auto_free uint8_t *buffer = malloc(step + 1);
        size_t total = 0;
        ssize_t n;

        for (;;) {
                const void *piece = buffer;

                n = step ? layer->stream->read(layer->stream, buffer, step, err)
                         : layer->stream->next(layer->stream, &piece, err);
                if (n <= 0)
                        return n < 0 ? -1 : (ssize_t)total;
                assert_true(total + (size_t)n <= DATA_SIZE);
                assert_memory_equal(piece, data + total, n);
                total += (size_t)n;
                /* The rest arrives once the reader is there. */
                atomic_store(&layer->blob.here, layer->blob.size);
        }
}

static void test_whole_layer(void **state)
{
        static const size_t steps[] = { 0, 1000, 300000 };

        (void)state;
        for (size_t i = 0; i < ARRAY_SIZE(steps); i++) {
                struct error err = ERROR_INIT;
                struct layer layer;

                open_layer(&layer, packed, packed_size, packed_size, true);
                wait_for_scout(&layer, packed_size);
                assert_int_equal(read_all(&layer, steps[i], &err), DATA_SIZE);
                assert_true(atomic_load(&layer.complete));
                close_layer(&layer);
        }
}

/* The reader calls the scout back in the middle, and it may go once more meanwhile. */
static void test_part(void **state)
{
        (void)state;
        for (size_t i = 1; i < 8; i++) {
                struct error err = ERROR_INIT;
                struct layer layer;

                open_layer(&layer, packed, packed_size, packed_size / 8 * i, true);
                wait_for_scout(&layer, packed_size / 8 * i);
                assert_int_equal(read_all(&layer, i % 2 ? 0 : 70000, &err), DATA_SIZE);
                assert_true(atomic_load(&layer.complete));
                close_layer(&layer);
        }
}

static void test_at_once(void **state)
{
        struct error err = ERROR_INIT;
        struct layer layer;

        (void)state;
        open_layer(&layer, packed, packed_size, packed_size, true);
        assert_int_equal(read_all(&layer, 0, &err), DATA_SIZE);
        assert_true(atomic_load(&layer.complete));
        close_layer(&layer);
}

static void test_without_file(void **state)
{
        struct error err = ERROR_INIT;
        struct layer layer;

        (void)state;
        open_layer(&layer, packed, packed_size, packed_size, false);
        for (int i = 0; i < 50; i++)
                pause_briefly();
        assert_true(atomic_load(&layer.blob.at) < packed_size / 4);
        assert_int_equal(read_all(&layer, 0, &err), DATA_SIZE);
        close_layer(&layer);
}

static void test_damage(void **state)
{
        static const struct {
                size_t eighth;
                bool cut; /* else a byte is changed */
                int code;
        } cases[] = { { 6, true, EIO }, { 6, false, EBADMSG }, { 1, false, EBADMSG } };

        (void)state;
        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                size_t place = packed_size / 8 * cases[i].eighth;
                size_t size = cases[i].cut ? place : packed_size;
                auto_free uint8_t *content = malloc(size);
                struct error err = ERROR_INIT;
                struct layer layer;
                ssize_t n;

                assert_non_null(content);
                memcpy(content, packed, size);
                if (!cases[i].cut)
                        memset(content + place, 0xff, 4000);
                open_layer(&layer, content, size, size, true);
                wait_for_scout(&layer, place);
                /* What comes before it may be wrong: no more than the stream itself promises. */
                do {
                        const void *piece;

                        n = layer.stream->next(layer.stream, &piece, &err);
                } while (n > 0);
                assert_int_equal(n, -1);
                assert_int_equal(err.code, cases[i].code);
                assert_false(atomic_load(&layer.complete));
                close_layer(&layer);
        }
}

static void test_closed(void **state)
{
        struct error err = ERROR_INIT;
        struct layer layer;
        const void *piece;

        (void)state;
        open_layer(&layer, packed, packed_size, packed_size, true);
        close_layer(&layer);

        open_layer(&layer, packed, packed_size, packed_size, true);
        wait_for_scout(&layer, packed_size);
        close_layer(&layer);

        /* While chunks are decompressed. */
        open_layer(&layer, packed, packed_size, packed_size, true);
        wait_for_scout(&layer, packed_size);
        for (size_t size = 0; size < 2 * AHEAD;) {
                ssize_t n = layer.stream->next(layer.stream, &piece, &err);

                assert_true(n > 0);
                size += (size_t)n;
        }
        close_layer(&layer);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_whole_layer), cmocka_unit_test(test_part),
                cmocka_unit_test(test_at_once),     cmocka_unit_test(test_without_file),
                cmocka_unit_test(test_damage),      cmocka_unit_test(test_closed),
        };
        int failed;

        data = make_text(DATA_SIZE);
        packed = make_member(data, DATA_SIZE, 1, &packed_size);
        failed = cmocka_run_group_tests(tests, NULL, NULL);
        free(data);
        free(packed);
        return failed;
}
