#include <bzlib.h>
#include <errno.h>
#include <limits.h>
#include <stdlib.h>

#include "codec/decoder.h"
#include "util/dynlib.h"

/* libbz2, loaded on first use (util/dynlib.h). */
#define BZ2_FUNCTIONS(X)                                                                           \
        X(init, BZ2_bzDecompressInit)                                                              \
        X(decompress, BZ2_bzDecompress)                                                            \
        X(end, BZ2_bzDecompressEnd)

static struct {
        BZ2_FUNCTIONS(DYNLIB_MEMBER)
} bz2;

#define BZ2_SYMBOL(member, symbol) { #symbol, (void **)&bz2.member },
static const struct dynlib_symbol bz2_symbols[] = { BZ2_FUNCTIONS(BZ2_SYMBOL) };
static struct dynlib bz2_library = DYNLIB_INIT(SONAME_BZ2, "libbz2-1.0", bz2_symbols);

struct bzip2_decoder {
        bz_stream stream;
        bool open; /* between BZ2_bzDecompressInit and End */
};

static void *bzip2_open(struct error *err)
{
        struct bzip2_decoder *self;

        if (dynlib_need(&bz2_library, err) < 0)
                return NULL;
        self = calloc(1, sizeof(*self));
        if (!self)
                error_no_memory(err);
        return self;
}

static void end_stream(struct bzip2_decoder *self)
{
        if (self->open)
                (void)bz2.end(&self->stream);
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
                if (bz2.init(&self->stream, 0, 0) != BZ_OK)
                        return error_no_memory(err);
                self->open = true;
        }
        self->stream.next_in = (char *)io->in; /* not written to */
        self->stream.avail_in = in;
        self->stream.next_out = (char *)io->out;
        self->stream.avail_out = out;
        result = bz2.decompress(&self->stream);
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
