#include <errno.h>
#include <lz4frame.h>

#include "codec/decoder.h"
#include "util/dynlib.h"

/* liblz4, loaded on first use (util/dynlib.h). */
#define LZ4_FRAME_FUNCTIONS(X)                                                                     \
        X(create, LZ4F_createDecompressionContext)                                                 \
        X(release, LZ4F_freeDecompressionContext)                                                  \
        X(decompress, LZ4F_decompress)                                                             \
        X(is_error, LZ4F_isError)                                                                  \
        X(error_name, LZ4F_getErrorName)

static struct {
        LZ4_FRAME_FUNCTIONS(DYNLIB_MEMBER)
} lz4;

#define LZ4_FRAME_SYMBOL(member, symbol) { #symbol, (void **)&lz4.member },
static const struct dynlib_symbol lz4_symbols[] = { LZ4_FRAME_FUNCTIONS(LZ4_FRAME_SYMBOL) };
static struct dynlib lz4_library = DYNLIB_INIT(SONAME_LZ4, "liblz4-1", lz4_symbols);

static void *lz4_open(struct error *err)
{
        LZ4F_dctx *context = NULL;

        if (dynlib_need(&lz4_library, err) < 0)
                return NULL;
        if (lz4.is_error(lz4.create(&context, LZ4F_VERSION))) {
                error_no_memory(err);
                return NULL;
        }
        return context;
}

static enum decoder_state lz4_decode(void *decoder, struct decoder_io *io, struct error *err)
{
        size_t in = io->in_left, out = io->out_left;
        size_t result = lz4.decompress(decoder, io->out, &out, io->in, &in, NULL);

        if (lz4.is_error(result))
                return error_set(err, EBADMSG, "%s", lz4.error_name(result));
        io->in += in;
        io->in_left -= in;
        io->out += out;
        io->out_left -= out;
        return result == 0 ? DECODER_DONE : DECODER_BUSY;
}

static void lz4_close(void *decoder)
{
        lz4.release(decoder);
}

const struct decoder_format lz4_format = { "lz4", lz4_open, lz4_decode, lz4_close };
