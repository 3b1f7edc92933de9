#include "codec/codec.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "codec/decoder.h"
#include "codec/points.h"
#include "codec/scout.h"
#include "util/cleanup.h"

#define INPUT_BUFFER_SIZE (256 * 1024)

/* How a format starts: bytes that count where the mask has ones. */
#define MAGIC_SIZE 6

static const struct magic {
        uint8_t bytes[MAGIC_SIZE], mask[MAGIC_SIZE];
        const struct decoder_format *format;
} magics[] = {
        { { 0x1f, 0x8b, 0x08 }, { 0xff, 0xff, 0xff }, &gzip_format },
        { { 0x28, 0xb5, 0x2f, 0xfd }, { 0xff, 0xff, 0xff, 0xff }, &zstd_format },
        /* Skippable frames are common to zstd and lz4; pzstd is who starts with one. */
        { { 0x50, 0x2a, 0x4d, 0x18 }, { 0xf0, 0xff, 0xff, 0xff }, &zstd_format },
        { { 0xfd, '7', 'z', 'X', 'Z', 0x00 }, { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff }, &xz_format },
        /* The level is a digit; then comes a block, or the end of an empty file. A tar
         * archive may well start with a file called "BZh9". */
        { { 'B', 'Z', 'h', 0x30, 0x31, 0x41 },
          { 0xff, 0xff, 0xff, 0xf0, 0xff, 0xff },
          &bzip2_format },
        { { 'B', 'Z', 'h', 0x30, 0x17, 0x72 },
          { 0xff, 0xff, 0xff, 0xf0, 0xff, 0xff },
          &bzip2_format },
        { { 0x04, 0x22, 0x4d, 0x18 }, { 0xff, 0xff, 0xff, 0xff }, &lz4_format },
};

static bool magic_matches(const struct magic *magic, const uint8_t head[MAGIC_SIZE])
{
        for (size_t i = 0; i < MAGIC_SIZE; i++)
                if ((head[i] & magic->mask[i]) != magic->bytes[i])
                        return false;
        return true;
}

/* NULL for data that is not compressed, or not in a way known here. */
static const struct decoder_format *recognise(const uint8_t *head, size_t size)
{
        uint8_t padded[MAGIC_SIZE] = { 0 };

        memcpy(padded, head, size);
        for (size_t i = 0; i < ARRAY_SIZE(magics); i++)
                if (magic_matches(&magics[i], padded))
                        return magics[i].format;
        return NULL;
}

/* Both kinds of stream: the bytes looked at come first, then the source. */
struct codec_stream {
        struct stream base;
        struct stream *source;
        uint8_t head[MAGIC_SIZE];
        size_t head_size, head_used;

        const struct decoder_format *format; /* NULL: pass through */
        void *decoder;
        struct decoder_io io;
        uint8_t *buffer; /* for input that the source does not lend */
        bool done;       /* the decoder may stop where it is */

        struct points_noter *noter; /* or NULL */
        uint64_t fetched, given_out; /* bytes from the source; to the reader by earlier calls */
};

static void codec_close(struct stream *stream)
{
        struct codec_stream *self = (struct codec_stream *)stream;

        if (self->decoder)
                self->format->close(self->decoder);
        stream_close(self->source);
        points_noter_free(self->noter);
        free(self->buffer);
        free(self);
}

/* ---- pass through ---- */

static ssize_t plain_next(struct stream *stream, const void **ret_data, struct error *err)
{
        struct codec_stream *self = (struct codec_stream *)stream;
        size_t left = self->head_size - self->head_used;

        if (left == 0)
                return self->source->next(self->source, ret_data, err);
        *ret_data = self->head + self->head_used;
        self->head_used = self->head_size;
        return (ssize_t)left;
}

static ssize_t plain_read(struct stream *stream, void *buffer, size_t size, struct error *err)
{
        struct codec_stream *self = (struct codec_stream *)stream;
        size_t left = self->head_size - self->head_used;
        size_t n = size < left ? size : left;

        if (left == 0)
                return self->source->read(self->source, buffer, size, err);
        memcpy(buffer, self->head + self->head_used, n);
        self->head_used += n;
        return (ssize_t)n;
}

/* ---- decompression ---- */

static int fetch_input(struct codec_stream *self, struct error *err)
{
        const void *data;
        ssize_t n;

        if (self->head_used < self->head_size) {
                self->io.in = self->head + self->head_used;
                self->io.in_left = self->head_size - self->head_used;
                self->head_used = self->head_size;
                self->fetched += self->io.in_left;
                return 0;
        }
        n = stream_next(self->source, self->buffer, INPUT_BUFFER_SIZE, &data, err);
        if (n < 0)
                return -1;
        self->io.in = data;
        self->io.in_left = (size_t)n;
        self->io.in_end = n == 0;
        self->fetched += (size_t)n;
        return 0;
}

/* One call of the decoder. Returns 0, or -1 with *err. */
static int decode_some(struct codec_stream *self, struct error *err)
{
        size_t in_before = self->io.in_left, out_before = self->io.out_left;
        enum decoder_state state = self->format->decode(self->decoder, &self->io, err);

        if (state == DECODER_FAILED)
                return error_prefix(err, "%s", self->format->name);
        self->done = state == DECODER_DONE;
        if (self->done || self->io.in_left < in_before || self->io.out_left < out_before)
                return 0;
        if (self->io.in_end)
                return error_set(err, EIO, "%s: the compressed data ends too early",
                                 self->format->name);
        if (in_before > 0)
                return error_set(err, EBADMSG, "%s: the compressed data is damaged",
                                 self->format->name);
        return 0;
}

/* decode_read, with an eye on points. */
static ssize_t decode_noting(struct codec_stream *self, const uint8_t *buffer, size_t size,
                             struct error *err)
{
        struct decoder_io *io = &self->io;

        while (io->out_left > 0) {
                size_t held_back, done = size - io->out_left;

                if (io->in_left == 0 && !io->in_end && fetch_input(self, err) < 0)
                        return -1;
                if (io->in_end && self->done) {
                        points_noter_finish(self->noter, self->fetched, self->given_out + done);
                        break;
                }
                held_back = io->in_left -
                            points_noter_input(self->noter, self->given_out + done, io->in_left);
                io->in_left -= held_back;
                if (decode_some(self, err) < 0)
                        return -1;
                io->in_left += held_back;
                done = size - io->out_left;
                /* With room left, the decoder has given out all that it could. */
                if (io->out_left > 0)
                        points_noter_look(self->noter, self->decoder, self->fetched - io->in_left,
                                          self->given_out + done, buffer, done);
        }
        self->given_out += size - io->out_left;
        return (ssize_t)(size - io->out_left);
}

static ssize_t decode_read(struct stream *stream, void *buffer, size_t size, struct error *err)
{
        struct codec_stream *self = (struct codec_stream *)stream;
        struct decoder_io *io = &self->io;

        io->out = buffer;
        io->out_left = size;
        if (self->noter)
                return decode_noting(self, buffer, size, err);
        while (io->out_left > 0) {
                if (io->in_left == 0 && !io->in_end && fetch_input(self, err) < 0)
                        return -1;
                if (io->in_end && self->done)
                        break;
                if (decode_some(self, err) < 0)
                        return -1;
        }
        return (ssize_t)(size - io->out_left);
}

/* ---- opening ---- */

static int open_decoder(struct codec_stream *self, struct error *err)
{
        self->base.read = decode_read;
        self->base.next = NULL;
        self->decoder = self->format->open(err);
        if (!self->decoder)
                return error_prefix(err, "%s", self->format->name);
        if (!self->source->next) {
                self->buffer = malloc(INPUT_BUFFER_SIZE);
                if (!self->buffer)
                        return error_no_memory(err);
        }
        return 0;
}

static int open_noter(struct codec_stream *self, int fd, atomic_bool *complete, struct error *err)
{
        if (!self->format->points)
                return 0;
        self->noter = points_noter_new(fd, complete, err);
        return self->noter ? 0 : -1;
}

/* fd -1 notes nothing. */
static struct stream *open_stream(struct stream *source, int fd, atomic_bool *complete,
                                  struct error *err)
{
        struct codec_stream *self = calloc(1, sizeof(*self));
        ssize_t n;

        if (!self) {
                stream_close(source);
                error_no_memory(err);
                return NULL;
        }
        self->source = source;
        self->base = (struct stream){ .read = plain_read,
                                      .next = source->next ? plain_next : NULL,
                                      .close = codec_close };
        n = stream_read_full(source, self->head, sizeof(self->head), err);
        if (n < 0) {
                codec_close(&self->base);
                return NULL;
        }
        self->head_size = (size_t)n;
        self->format = recognise(self->head, self->head_size);
        if (self->format && (open_decoder(self, err) < 0 ||
                             (fd >= 0 && open_noter(self, fd, complete, err) < 0))) {
                codec_close(&self->base);
                return NULL;
        }
        return &self->base;
}

bool scout_may_go(const struct stream *stream)
{
        const struct codec_stream *self = (const struct codec_stream *)stream;

        return self->noter && self->source->file &&
               points_noter_goes_on(self->noter, self->given_out);
}

uint64_t scout_position(const struct stream *stream)
{
        return ((const struct codec_stream *)stream)->given_out;
}

int scout_passed(struct stream *stream, uint64_t from, struct chunks_part *ret, struct error *err)
{
        struct codec_stream *self = (struct codec_stream *)stream;
        auto_close int fd = self->source->file(self->source, err);
        auto_close int points_fd = fd < 0 ? -1 : points_noter_file(self->noter, err);

        if (points_fd < 0 ||
            points_noter_table(self->noter, from, self->given_out, &ret->table, err) < 0)
                return -1;
        ret->from = from;
        ret->fd = TAKE_FD(fd);
        ret->points_fd = TAKE_FD(points_fd);
        return 0;
}

struct stream *codec_open(struct stream *source, struct error *err)
{
        return open_stream(source, -1, NULL, err);
}

struct stream *codec_open_noting(struct stream *source, int fd, atomic_bool *complete,
                                 struct error *err)
{
        return open_stream(source, fd, complete, err);
}
