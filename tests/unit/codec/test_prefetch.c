/* codec/: reading ahead in a thread. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "codec/codec.h"
#include "util/cleanup.h"

/* A source whose byte at offset n is n * 7 / 1000, given in uneven pieces. */
struct counter {
        struct stream base;
        uint64_t offset, size;
        int failure;          /* errno value instead of the end */
        unsigned int wait_ms; /* before every piece */
};

static atomic_uint open_sources;
static atomic_ullong bytes_read;

static char byte_at(uint64_t offset)
{
        return (char)(offset * 7 / 1000);
}

static ssize_t counter_read(struct stream *stream, void *buffer, size_t size, struct error *err)
{
        struct counter *self = (struct counter *)stream;
        size_t n = 1 + self->offset * 31 % 100000;

        if (self->wait_ms > 0)
                nanosleep(&(struct timespec){ .tv_nsec = self->wait_ms * 1000000L }, NULL);
        if (self->offset == self->size && self->failure)
                return error_set(err, self->failure, "the source failed");
        if (n > size)
                n = size;
        if (n > self->size - self->offset)
                n = self->size - self->offset;
        for (size_t i = 0; i < n; i++)
                ((char *)buffer)[i] = byte_at(self->offset + i);
        self->offset += n;
        atomic_fetch_add(&bytes_read, n);
        return (ssize_t)n;
}

static void counter_close(struct stream *stream)
{
        atomic_fetch_sub(&open_sources, 1);
        free(stream);
}

static struct stream *open_counter(uint64_t size, int failure, unsigned int wait_ms)
{
        struct counter *self = calloc(1, sizeof(*self));

        assert_non_null(self);
        *self = (struct counter){
                { .read = counter_read, .close = counter_close }, 0, size, failure, wait_ms
        };
        atomic_fetch_add(&open_sources, 1);
        atomic_store(&bytes_read, 0);
        return &self->base;
}

static void check_bytes(const char *data, size_t size, uint64_t offset)
{
        for (size_t i = 0; i < size; i++)
                if (data[i] != byte_at(offset + i))
                        fail_msg("wrong byte at %llu", (unsigned long long)(offset + i));
}

/* Read to the end, by turns copied and lent. Returns the bytes, *ret_result how it ended. */
static uint64_t read_all(struct stream *stream, bool lent, ssize_t *ret_result, struct error *err)
{
        char buffer[10007];
        uint64_t offset = 0;
        ssize_t n;

        for (;; offset += (uint64_t)n) {
                const void *data = buffer;

                if (lent && offset % 3 != 0)
                        n = stream->next(stream, &data, err);
                else
                        n = stream->read(stream, buffer, sizeof(buffer), err);
                if (n <= 0)
                        break;
                check_bytes(data, (size_t)n, offset);
        }
        *ret_result = n;
        return offset;
}

static void test_content(void **state)
{
        static const uint64_t sizes[] = { 0, 1, 1000, 524288, 524289, 5000000 };
        static const size_t ahead[] = { 0, 1, 2 << 20, 1 << 30 };

        (void)state;
        for (size_t s = 0; s < ARRAY_SIZE(sizes); s++) {
                for (size_t a = 0; a < ARRAY_SIZE(ahead); a++) {
                        for (int lent = 0; lent < 2; lent++) {
                                auto_stream struct stream *stream = NULL;
                                struct error err = ERROR_INIT;
                                ssize_t result;

                                stream = codec_prefetch(open_counter(sizes[s], 0, 0), ahead[a],
                                                        &err);
                                assert_non_null(stream);
                                assert_int_equal(read_all(stream, lent, &result, &err), sizes[s]);
                                assert_int_equal(result, 0);
                                /* The end stays the end. */
                                assert_int_equal(read_all(stream, lent, &result, &err), 0);
                                assert_int_equal(result, 0);
                        }
                }
        }
        assert_int_equal(atomic_load(&open_sources), 0);
}

/* All that the source gave comes before its error, which stays. */
static void test_failure(void **state)
{
        auto_stream struct stream *stream = NULL;
        struct error err = ERROR_INIT;
        ssize_t result;

        (void)state;
        stream = codec_prefetch(open_counter(1234567, ENETDOWN, 0), 1 << 20, &err);
        assert_non_null(stream);
        assert_int_equal(read_all(stream, true, &result, &err), 1234567);
        assert_int_equal(result, -1);
        assert_int_equal(err.code, ENETDOWN);
        err = (struct error)ERROR_INIT;
        assert_int_equal(read_all(stream, false, &result, &err), 0);
        assert_int_equal(result, -1);
        assert_string_equal(err.message, "the source failed");
}

/* The thread stays within its buffers, whatever the source has. */
static void test_bounded(void **state)
{
        struct error err = ERROR_INIT;
        struct stream *stream = codec_prefetch(open_counter(UINT64_MAX, 0, 0), 2 << 20, &err);
        char byte;

        (void)state;
        assert_non_null(stream);
        assert_int_equal(stream->read(stream, &byte, 1, &err), 1);
        nanosleep(&(struct timespec){ .tv_nsec = 50000000 }, NULL);
        assert_in_range(atomic_load(&bytes_read), 1, 2 << 20);
        stream_close(stream);
        assert_int_equal(atomic_load(&open_sources), 0);
}

/* Closing does not wait for the source to end, which would be for ever. */
static void test_early_close(void **state)
{
        static const unsigned int waits[] = { 0, 20 };

        (void)state;
        for (size_t i = 0; i < ARRAY_SIZE(waits); i++) {
                struct error err = ERROR_INIT;
                struct stream *stream =
                        codec_prefetch(open_counter(UINT64_MAX, 0, waits[i]), 0, &err);

                assert_non_null(stream);
                stream_close(stream);
                assert_int_equal(atomic_load(&open_sources), 0);
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_content),
                cmocka_unit_test(test_failure),
                cmocka_unit_test(test_bounded),
                cmocka_unit_test(test_early_close),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
