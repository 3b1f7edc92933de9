#include <bzlib.h>
#include <errno.h>
#include <limits.h>
#include <stdlib.h>

#include "codec/decoder.h"

struct bzip2_decoder {
        bz_stream stream;
        bool open; /* between BZ2_bzDecompressInit and End */
};

static void *bzip2_open(struct error *err)
{
        struct bzip2_decoder *self = calloc(1, sizeof(*self));

        if (!self)
                error_no_memory(err);
        return self;
}

static void end_stream(struct bzip2_decoder *self)
{
        if (self->open)
                (void)BZ2_bzDecompressEnd(&self->stream);
        self->open = false;
}

static unsigned int limit(size_t size)
{
        return size < UINT_MAX ? (unsigned int)size : UINT_MAX;
}

static enum decoder_state bzip2_decode(void *decoder, struct decoder_io *io, struct error *err)
{
        struct bzip2_decoder *self = decoder;
        unsigned int in = limit(io->in_left), out = limit(io->out_left);
        int result;

        if (!self->open) {
                self->stream = (bz_stream){ .next_in = NULL };
                if (BZ2_bzDecompressInit(&self->stream, 0, 0) != BZ_OK)
                        return error_no_memory(err);
                self->open = true;
        }
        self->stream.next_in = (char *)io->in; /* not written to */
        self->stream.avail_in = in;
        self->stream.next_out = (char *)io->out;
        self->stream.avail_out = out;
        result = BZ2_bzDecompress(&self->stream);
        io->in += in - self->stream.avail_in;
        io->in_left -= in - self->stream.avail_in;
        io->out += out - self->stream.avail_out;
        io->out_left -= out - self->stream.avail_out;

        switch (result) {
        case BZ_OK:
                return DECODER_BUSY;
        case BZ_STREAM_END: /* pbzip2 writes a stream for every block */
                end_stream(self);
                return DECODER_DONE;
        case BZ_MEM_ERROR:
                return error_no_memory(err);
        default:
                return error_set(err, EBADMSG, "the compressed data is damaged");
        }
}

static void bzip2_close(void *decoder)
{
        end_stream(decoder);
        free(decoder);
}

const struct decoder_format bzip2_format = { "bzip2", bzip2_open, bzip2_decode, bzip2_close };
