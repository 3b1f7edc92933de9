#include <errno.h>
#include <zstd.h>
#include <zstd_errors.h>

#include "codec/decoder.h"

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
