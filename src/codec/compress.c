#include <stdlib.h>
#include <string.h>

#include "codec/codec.h"
#include "codec/encoder.h"
#include "util/cleanup.h"

#define INPUT_SIZE  (256 * 1024)
#define OUTPUT_SIZE (256 * 1024)

/*
 * Encoders end blocks where their input ends for now, so they are always given whole
 * buffers: how the data come must not show in the bytes.
 */
struct codec_compressor {
        struct byte_sink base;
        const struct encoder_format *format;
        void *encoder;
        struct byte_sink *target;
        size_t used; /* of input */
        uint8_t input[INPUT_SIZE], output[OUTPUT_SIZE];
};

/* Run the encoder until the input is used up or, at the end, everything is written. */
static int run(struct codec_compressor *self, bool end, struct error *err)
{
        struct encoder_io io = { .in = self->input, .in_left = self->used, .in_end = end };
        int done = 0;

        self->used = 0;
        while (end ? !done : io.in_left > 0) {
                size_t produced;

                io.out = self->output;
                io.out_left = OUTPUT_SIZE;
                done = self->format->encode(self->encoder, &io, err);
                if (done < 0)
                        return -1;
                produced = OUTPUT_SIZE - io.out_left;
                if (produced > 0 && byte_sink_write(self->target, self->output, produced, err) < 0)
                        return -1;
        }
        return 0;
}

static int compressor_write(struct byte_sink *sink, const void *data, size_t size,
                            struct error *err)
{
        struct codec_compressor *self = (struct codec_compressor *)sink;

        while (size > 0) {
                size_t room = INPUT_SIZE - self->used, part = size < room ? size : room;

                memcpy(self->input + self->used, data, part);
                self->used += part;
                data = (const char *)data + part;
                size -= part;
                if (self->used == INPUT_SIZE && run(self, false, err) < 0)
                        return -1;
        }
        return 0;
}

struct codec_compressor *codec_compressor_open(enum codec_format format, unsigned int threads,
                                               struct byte_sink *target, struct error *err)
{
        static const struct encoder_format *const formats[] = {
                [CODEC_GZIP] = &gzip_encoder,
                [CODEC_ZSTD] = &zstd_encoder,
        };
        auto_free struct codec_compressor *self = malloc(sizeof(*self));

        if (!self) {
                error_no_memory(err);
                return NULL;
        }
        self->base.write = compressor_write;
        self->format = formats[format];
        self->target = target;
        self->used = 0;
        self->encoder = self->format->open(threads, err);
        return self->encoder ? TAKE_PTR(self) : NULL;
}

struct byte_sink *codec_compressor_sink(struct codec_compressor *compressor)
{
        return &compressor->base;
}

int codec_compressor_finish(struct codec_compressor *compressor, struct error *err)
{
        return run(compressor, true, err);
}

void codec_compressor_close(struct codec_compressor *compressor)
{
        compressor->format->close(compressor->encoder);
        free(compressor);
}
