/*
 * Compressed data: the same comes out whether it is given in one piece or in
 * pieces of the size that the first byte says.
 */
#include <stdlib.h>
#include <string.h>

#include "codec/codec.h"
#include "fuzz.h"
#include "util/strbuf.h"

#define OUTPUT_MAX (1 << 20)

struct pieces {
        struct stream base;
        const uint8_t *data;
        size_t left, piece;
};

static ssize_t pieces_read(struct stream *stream, void *buffer, size_t size, struct error *err)
{
        struct pieces *self = (struct pieces *)stream;
        size_t n = size < self->piece ? size : self->piece;

        (void)err;
        if (n > self->left)
                n = self->left;
        memcpy(buffer, self->data, n);
        self->data += n;
        self->left -= n;
        return (ssize_t)n;
}

static void pieces_close(struct stream *stream)
{
        (void)stream;
}

/* Returns 0 at the end of the data or of patience, -1 after an error. */
static int decompress(struct stream *source, size_t step, struct strbuf *out)
{
        struct error err = ERROR_INIT;
        auto_stream struct stream *stream = codec_open(source, &err);
        static char buffer[65536];
        ssize_t n = -1;

        while (stream && out->length < OUTPUT_MAX &&
               (n = stream->read(stream, buffer, step, &err)) > 0)
                strbuf_append_mem(out, buffer, (size_t)n);
        return n < 0 ? -1 : 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        auto_strbuf struct strbuf whole = STRBUF_INIT, parts = STRBUF_INIT;
        struct pieces pieces = { { .read = pieces_read, .close = pieces_close } };
        struct error err = ERROR_INIT;
        size_t common;

        if (size == 0)
                return 0;
        pieces.piece = 1 + data[0] % 64;
        pieces.data = ++data;
        pieces.left = --size;
        /* After an error, one of them may have got further than the other. */
        if (decompress(stream_from_memory(data, size, &err), 65536, &whole) !=
                    decompress(&pieces.base, 1000, &parts) &&
            whole.length < OUTPUT_MAX && parts.length < OUTPUT_MAX)
                abort();
        common = whole.length < parts.length ? whole.length : parts.length;
        if (common > 0 && memcmp(whole.data, parts.data, common) != 0)
                abort();
        return 0;
}
