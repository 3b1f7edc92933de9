#include <errno.h>
#include <zstd.h>
#include <zstd_errors.h>

#include "codec/decoder.h"
#include "codec/encoder.h"

static void *zstd_open(struct error *err)
{
        ZSTD_DCtx *context = ZSTD_createDCtx();

        if (!context) {
                error_no_memory(err);
                return NULL;
        }
        if (ZSTD_isError(
                    ZSTD_DCtx_setParameter(context, ZSTD_d_windowLogMax, DECODER_WINDOW_LOG_MAX))) {
                ZSTD_freeDCtx(context);
                error_set(err, EINVAL, "the library knows no limit for windows");
                return NULL;
        }
        return context;
}

static enum decoder_state zstd_decode(void *decoder, struct decoder_io *io, struct error *err)
{
        ZSTD_inBuffer in = { io->in, io->in_left, 0 };
        ZSTD_outBuffer out = { io->out, io->out_left, 0 };
        size_t result = ZSTD_decompressStream(decoder, &out, &in);

        io->in += in.pos;
        io->in_left -= in.pos;
        io->out += out.pos;
        io->out_left -= out.pos;
        if (ZSTD_isError(result)) {
                if (ZSTD_getErrorCode(result) == ZSTD_error_frameParameter_windowTooLarge)
                        return error_set(err, EFBIG, "it needs a window of more than %lu MiB",
                                         DECODER_WINDOW_MAX >> 20);
                return error_set(err, EBADMSG, "%s", ZSTD_getErrorName(result));
        }
        return result == 0 ? DECODER_DONE : DECODER_BUSY;
}

static void zstd_close(void *decoder)
{
        ZSTD_freeDCtx(decoder);
}

const struct decoder_format zstd_format = { "zstd", zstd_open, zstd_decode, zstd_close };

/* ---- compression ---- */

#define ENCODER_LEVEL 3

static void *zstd_encoder_open(unsigned int threads, struct error *err)
{
        ZSTD_CCtx *context = ZSTD_createCCtx();

        if (!context) {
                error_no_memory(err);
                return NULL;
        }
        (void)ZSTD_CCtx_setParameter(context, ZSTD_c_compressionLevel, ENCODER_LEVEL);
        (void)ZSTD_CCtx_setParameter(context, ZSTD_c_checksumFlag, 1);
        /*
         * One worker gives the same bytes as many, but others than none. A library that was
         * built without threads refuses, and compresses all the same.
         */
        (void)ZSTD_CCtx_setParameter(context, ZSTD_c_nbWorkers, threads > 0 ? (int)threads : 1);
        return context;
}

static int zstd_encode(void *encoder, struct encoder_io *io, struct error *err)
{
        ZSTD_inBuffer in = { io->in, io->in_left, 0 };
        ZSTD_outBuffer out = { io->out, io->out_left, 0 };
        size_t left = ZSTD_compressStream2(encoder, &out, &in,
                                           io->in_end ? ZSTD_e_end : ZSTD_e_continue);

        if (ZSTD_isError(left))
                return error_set(err, EIO, "zstd: %s", ZSTD_getErrorName(left));
        io->in += in.pos;
        io->in_left -= in.pos;
        io->out += out.pos;
        io->out_left -= out.pos;
        return io->in_end && left == 0;
}

static void zstd_encoder_close(void *encoder)
{
        ZSTD_freeCCtx(encoder);
}

const struct encoder_format zstd_encoder = { zstd_encoder_open, zstd_encode, zstd_encoder_close };
