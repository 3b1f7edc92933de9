#include <errno.h>
#include <lz4frame.h>

#include "codec/decoder.h"

static void *lz4_open(struct error *err)
{
        LZ4F_dctx *context = NULL;

        if (LZ4F_isError(LZ4F_createDecompressionContext(&context, LZ4F_VERSION))) {
                error_no_memory(err);
                return NULL;
        }
        return context;
}

static enum decoder_state lz4_decode(void *decoder, struct decoder_io *io, struct error *err)
{
        size_t in = io->in_left, out = io->out_left;
        size_t result = LZ4F_decompress(decoder, io->out, &out, io->in, &in, NULL);

        if (LZ4F_isError(result))
                return error_set(err, EBADMSG, "%s", LZ4F_getErrorName(result));
        io->in += in;
        io->in_left -= in;
        io->out += out;
        io->out_left -= out;
        return result == 0 ? DECODER_DONE : DECODER_BUSY;
}

static void lz4_close(void *decoder)
{
        LZ4F_freeDecompressionContext(decoder);
}

const struct decoder_format lz4_format = { "lz4", lz4_open, lz4_decode, lz4_close };
