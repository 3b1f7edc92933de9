/*
 * For static programs, in the place of gzip.c: distributions have no static ISA-L. What
 * such a program reads of gzip is a kernel's configuration, not layers; zlib does.
 */
#include <errno.h>
#include <stdlib.h>
#include <zlib.h>

#include "codec/decoder.h"

/* inflateInit2: gzip only, with the largest window. */
#define GZIP_WINDOW_BITS (16 + MAX_WBITS)

static void *gzip_open(struct error *err)
{
        z_stream *self = calloc(1, sizeof(*self));

        if (!self || inflateInit2(self, GZIP_WINDOW_BITS) != Z_OK) {
                free(self);
                error_no_memory(err);
                return NULL;
        }
        return self;
}

static enum decoder_state gzip_decode(void *decoder, struct decoder_io *io, struct error *err)
{
        z_stream *self = decoder;
        size_t in = io->in_left < UINT32_MAX ? io->in_left : UINT32_MAX;
        size_t out = io->out_left < UINT32_MAX ? io->out_left : UINT32_MAX;
        int result;

        self->next_in = (Bytef *)io->in; /* not written to */
        self->avail_in = (uInt)in;
        self->next_out = io->out;
        self->avail_out = (uInt)out;
        result = inflate(self, Z_NO_FLUSH);
        if (result != Z_OK && result != Z_STREAM_END && result != Z_BUF_ERROR)
                return error_set(err, EBADMSG, "%s",
                                 self->msg ? self->msg : "the compressed data is damaged");
        io->in += in - self->avail_in;
        io->in_left -= in - self->avail_in;
        io->out += out - self->avail_out;
        io->out_left -= out - self->avail_out;
        if (result != Z_STREAM_END)
                return DECODER_BUSY;
        (void)inflateReset(self); /* another member may follow */
        return DECODER_DONE;
}

static void gzip_close(void *decoder)
{
        (void)inflateEnd(decoder);
        free(decoder);
}

const struct decoder_format gzip_format = { "gzip", gzip_open, gzip_decode, gzip_close };
