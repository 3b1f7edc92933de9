#include <errno.h>
#include <zstd.h>
#include <zstd_errors.h>

#include "codec/decoder.h"
#include "codec/encoder.h"
#include "util/dynlib.h"

/* libzstd, loaded on first use (util/dynlib.h). */
#define ZSTD_FUNCTIONS(X)                                                                          \
        X(create_dctx, ZSTD_createDCtx)                                                            \
        X(free_dctx, ZSTD_freeDCtx)                                                                \
        X(set_dctx, ZSTD_DCtx_setParameter)                                                        \
        X(decompress_stream, ZSTD_decompressStream)                                                \
        X(create_cctx, ZSTD_createCCtx)                                                            \
        X(free_cctx, ZSTD_freeCCtx)                                                                \
        X(set_cctx, ZSTD_CCtx_setParameter)                                                        \
        X(compress_stream, ZSTD_compressStream2)                                                   \
        X(is_error, ZSTD_isError)                                                                  \
        X(error_code, ZSTD_getErrorCode)                                                           \
        X(error_name, ZSTD_getErrorName)

static struct {
        ZSTD_FUNCTIONS(DYNLIB_MEMBER)
} zstd;

#define ZSTD_SYMBOL(member, symbol) { #symbol, (void **)&zstd.member },
static const struct dynlib_symbol zstd_symbols[] = { ZSTD_FUNCTIONS(ZSTD_SYMBOL) };
static struct dynlib zstd_library = DYNLIB_INIT(SONAME_ZSTD, "libzstd1", zstd_symbols);

static void *zstd_open(struct error *err)
{
        ZSTD_DCtx *context;

        if (dynlib_need(&zstd_library, err) < 0)
                return NULL;
        context = zstd.create_dctx();
        if (!context) {
                error_no_memory(err);
                return NULL;
        }
        if (zstd.is_error(zstd.set_dctx(context, ZSTD_d_windowLogMax, DECODER_WINDOW_LOG_MAX))) {
                zstd.free_dctx(context);
                error_set(err, EINVAL, "the library knows no limit for windows");
                return NULL;
        }
        return context;
}

static enum decoder_state zstd_decode(void *decoder, struct decoder_io *io, struct error *err)
{
        ZSTD_inBuffer in = { io->in, io->in_left, 0 };
        ZSTD_outBuffer out = { io->out, io->out_left, 0 };
        size_t result = zstd.decompress_stream(decoder, &out, &in);

        io->in += in.pos;
        io->in_left -= in.pos;
        io->out += out.pos;
        io->out_left -= out.pos;
        if (zstd.is_error(result)) {
                if (zstd.error_code(result) == ZSTD_error_frameParameter_windowTooLarge)
                        return error_set(err, EFBIG, "it needs a window of more than %lu MiB",
                                         DECODER_WINDOW_MAX >> 20);
                return error_set(err, EBADMSG, "%s", zstd.error_name(result));
        }
        return result == 0 ? DECODER_DONE : DECODER_BUSY;
}

static void zstd_close(void *decoder)
{
        zstd.free_dctx(decoder);
}

const struct decoder_format zstd_format = { "zstd", zstd_open, zstd_decode, zstd_close };

/* ---- compression ---- */

#define ENCODER_LEVEL 3

static void *zstd_encoder_open(unsigned int threads, struct error *err)
{
        ZSTD_CCtx *context;

        if (dynlib_need(&zstd_library, err) < 0)
                return NULL;
        context = zstd.create_cctx();
        if (!context) {
                error_no_memory(err);
                return NULL;
        }
        (void)zstd.set_cctx(context, ZSTD_c_compressionLevel, ENCODER_LEVEL);
        (void)zstd.set_cctx(context, ZSTD_c_checksumFlag, 1);
        /*
         * One worker gives the same bytes as many, but others than none. A library that was
         * built without threads refuses, and compresses all the same.
         */
        (void)zstd.set_cctx(context, ZSTD_c_nbWorkers, threads > 0 ? (int)threads : 1);
        return context;
}

static int zstd_encode(void *encoder, struct encoder_io *io, struct error *err)
{
        ZSTD_inBuffer in = { io->in, io->in_left, 0 };
        ZSTD_outBuffer out = { io->out, io->out_left, 0 };
        size_t left = zstd.compress_stream(encoder, &out, &in,
                                             io->in_end ? ZSTD_e_end : ZSTD_e_continue);

        if (zstd.is_error(left))
                return error_set(err, EIO, "zstd: %s", zstd.error_name(left));
        io->in += in.pos;
        io->in_left -= in.pos;
        io->out += out.pos;
        io->out_left -= out.pos;
        return io->in_end && left == 0;
}

static void zstd_encoder_close(void *encoder)
{
        zstd.free_cctx(encoder);
}

const struct encoder_format zstd_encoder = { zstd_encoder_open, zstd_encode, zstd_encoder_close };
