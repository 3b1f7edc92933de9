/*
 * For static programs, in the place of gzip.c: distributions have no static ISA-L. What
 * such a program reads of gzip is a kernel's configuration, not layers; zlib does.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "codec/decoder.h"

/* inflateInit2: gzip only, with the largest window. */
#define GZIP_WINDOW_BITS (16 + MAX_WBITS)

struct gzip_decoder {
        bool between; /* members: zeros may come, and another one */
        z_stream state;
};

static void *gzip_open(struct error *err)
{
        struct gzip_decoder *self = calloc(1, sizeof(*self));

        if (!self || inflateInit2(&self->state, GZIP_WINDOW_BITS) != Z_OK) {
                free(self);
                error_no_memory(err);
                return NULL;
        }
        return self;
}

static const char *error_text(const char *text)
{
        if (text && (strstr(text, "data check") || strstr(text, "length check")))
                return "the checksum does not match";
        return text ? text : "the compressed data is damaged";
}

static enum decoder_state gzip_decode(void *decoder, struct decoder_io *io, struct error *err)
{
        struct gzip_decoder *self = decoder;
        z_stream *state = &self->state;
        size_t in, out;
        int result;

        while (self->between && io->in_left > 0 && *io->in == 0) {
                io->in++;
                io->in_left--;
        }
        if (self->between && io->in_left == 0)
                return DECODER_DONE;
        self->between = false;
        in = io->in_left < UINT32_MAX ? io->in_left : UINT32_MAX;
        out = io->out_left < UINT32_MAX ? io->out_left : UINT32_MAX;
        state->next_in = (Bytef *)io->in; /* not written to */
        state->avail_in = (uInt)in;
        state->next_out = io->out;
        state->avail_out = (uInt)out;
        result = inflate(state, Z_NO_FLUSH);
        if (result != Z_OK && result != Z_STREAM_END && result != Z_BUF_ERROR)
                return error_set(err, EBADMSG, "%s", error_text(state->msg));
        io->in += in - state->avail_in;
        io->in_left -= in - state->avail_in;
        io->out += out - state->avail_out;
        io->out_left -= out - state->avail_out;
        if (result != Z_STREAM_END)
                return DECODER_BUSY;
        (void)inflateReset(state);
        self->between = true;
        return DECODER_DONE;
}

static void gzip_close(void *decoder)
{
        struct gzip_decoder *self = decoder;

        (void)inflateEnd(&self->state);
        free(self);
}

const struct decoder_format gzip_format = { "gzip", gzip_open, gzip_decode, gzip_close };
