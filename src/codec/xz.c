#include <errno.h>
#include <lzma.h>
#include <stdlib.h>

#include "codec/decoder.h"
#include "util/dynlib.h"

/* liblzma, loaded on first use (util/dynlib.h). */
#define XZ_FUNCTIONS(X)                                                                            \
        X(stream_decoder, lzma_stream_decoder)                                                     \
        X(code, lzma_code)                                                                         \
        X(end, lzma_end)

static struct {
        XZ_FUNCTIONS(DYNLIB_MEMBER)
} lzma;

#define XZ_SYMBOL(member, symbol) { #symbol, (void **)&lzma.member },
static const struct dynlib_symbol lzma_symbols[] = { XZ_FUNCTIONS(XZ_SYMBOL) };
static struct dynlib lzma_library = DYNLIB_INIT(SONAME_LZMA, "liblzma5", lzma_symbols);

static void *xz_open(struct error *err)
{
        lzma_stream *stream;

        if (dynlib_need(&lzma_library, err) < 0)
                return NULL;
        stream = calloc(1, sizeof(*stream));
        if (!stream) {
                error_no_memory(err);
                return NULL;
        }
        *stream = (lzma_stream)LZMA_STREAM_INIT;
        if (lzma.stream_decoder(stream, DECODER_WINDOW_MAX, LZMA_CONCATENATED) != LZMA_OK) {
                free(stream);
                error_no_memory(err);
                return NULL;
        }
        return stream;
}

static enum decoder_state xz_decode(void *decoder, struct decoder_io *io, struct error *err)
{
        lzma_stream *stream = decoder;
        lzma_ret result;

        stream->next_in = io->in;
        stream->avail_in = io->in_left;
        stream->next_out = io->out;
        stream->avail_out = io->out_left;
        /* Streams may follow each other, so only the end of the input ends them. */
        result = lzma.code(stream, io->in_end ? LZMA_FINISH : LZMA_RUN);
        io->in = stream->next_in;
        io->in_left = stream->avail_in;
        io->out = stream->next_out;
        io->out_left = stream->avail_out;

        switch (result) {
        case LZMA_OK:
        case LZMA_BUF_ERROR: /* no progress, which the caller sees */
                return DECODER_BUSY;
        case LZMA_STREAM_END:
                return DECODER_DONE;
        case LZMA_MEMLIMIT_ERROR:
                return error_set(err, EFBIG, "it needs more than %lu MiB of memory",
                                 DECODER_WINDOW_MAX >> 20);
        case LZMA_MEM_ERROR:
                return error_no_memory(err);
        case LZMA_OPTIONS_ERROR:
                return error_set(err, EBADMSG, "it uses options unknown to liblzma");
        default:
                return error_set(err, EBADMSG, "the compressed data is damaged");
        }
}

static void xz_close(void *decoder)
{
        lzma.end(decoder);
        free(decoder);
}

const struct decoder_format xz_format = { "xz", xz_open, xz_decode, xz_close };
