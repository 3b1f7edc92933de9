/*
 * gzip by ISA-L, which inflates a Debian layer in a quarter of zlib's time. Its
 * header and trailer checks are used, but members are followed here: a file may
 * have several (pigz -i, eStargz), and zeros may fill it up to a block (gzip(1)).
 */
#include <errno.h>
#include <isa-l/crc.h>
#include <isa-l/igzip_lib.h>
#include <stdlib.h>
#include <string.h>

#include "codec/decoder.h"
#include "codec/encoder.h"
#include "util/dynlib.h"

/* ISA-L, loaded on first use (util/dynlib.h). */
#define ISAL_FUNCTIONS(X)                                                                          \
        X(gzip_header_init, isal_gzip_header_init)                                                 \
        X(inflate_init, isal_inflate_init)                                                         \
        X(inflate_reset, isal_inflate_reset)                                                       \
        X(read_gzip_header, isal_read_gzip_header)                                                 \
        X(inflate, isal_inflate)                                                                   \
        X(inflate_set_dict, isal_inflate_set_dict)                                                 \
        X(inflate_stateless, isal_inflate_stateless)                                               \
        X(checksum, crc32_gzip_refl)                                                               \
        X(deflate_stateless_init, isal_deflate_stateless_init)                                     \
        X(deflate_stateless, isal_deflate_stateless)                                               \
        X(deflate_init, isal_deflate_init)                                                         \
        X(deflate, isal_deflate)

static struct {
        ISAL_FUNCTIONS(DYNLIB_MEMBER)
} isal;

#define ISAL_SYMBOL(member, symbol) { #symbol, (void **)&isal.member },
static const struct dynlib_symbol isal_symbols[] = { ISAL_FUNCTIONS(ISAL_SYMBOL) };
static struct dynlib isal_library = DYNLIB_INIT(SONAME_ISAL, "libisal2", isal_symbols);

#define GZIP_FIRST_BYTE 0x1f

struct gzip_decoder {
        enum { GZIP_HEADER, GZIP_DATA, GZIP_BETWEEN } phase;
        struct isal_gzip_header header; /* kept over calls: a header may come in pieces */
        struct inflate_state state;
};

static void start_member(struct gzip_decoder *self)
{
        isal.inflate_reset(&self->state);
        isal.gzip_header_init(&self->header);
        self->state.crc_flag = ISAL_GZIP_NO_HDR_VER; /* verify CRC-32 and length */
        self->phase = GZIP_HEADER;
}

static void *gzip_open(struct error *err)
{
        struct gzip_decoder *self;

        if (dynlib_need(&isal_library, err) < 0)
                return NULL;
        self = calloc(1, sizeof(*self));
        if (!self) {
                error_no_memory(err);
                return NULL;
        }
        isal.inflate_init(&self->state);
        start_member(self);
        return self;
}

static const char *error_text(int code)
{
        switch (code) {
        case ISAL_INVALID_WRAPPER:
                return "what follows is not gzip";
        case ISAL_UNSUPPORTED_METHOD:
                return "unknown compression method";
        case ISAL_INCORRECT_CHECKSUM:
                return "the checksum does not match";
        default:
                return "the compressed data is damaged";
        }
}

/* Run one function of ISA-L over the input and output. Returns its result. */
static int run(struct gzip_decoder *self, struct decoder_io *io)
{
        struct inflate_state *state = &self->state;
        size_t in = io->in_left < UINT32_MAX ? io->in_left : UINT32_MAX;
        size_t out = io->out_left < UINT32_MAX ? io->out_left : UINT32_MAX;
        int result;

        state->next_in = (uint8_t *)io->in; /* not written to */
        state->avail_in = (uint32_t)in;
        state->next_out = io->out;
        state->avail_out = (uint32_t)out;
        result = self->phase == GZIP_HEADER ? isal.read_gzip_header(state, &self->header)
                                            : isal.inflate(state);
        if (result < 0)
                return result; /* ISA-L 2.30 leaves avail_in below zero after some errors */
        io->in += in - state->avail_in;
        io->in_left -= in - state->avail_in;
        io->out += out - state->avail_out;
        io->out_left -= out - state->avail_out;
        return result;
}

static enum decoder_state gzip_decode(void *decoder, struct decoder_io *io, struct error *err)
{
        struct gzip_decoder *self = decoder;
        int result;

        if (self->phase == GZIP_BETWEEN) {
                while (io->in_left > 0 && *io->in == 0) {
                        io->in++;
                        io->in_left--;
                }
                if (io->in_left == 0)
                        return DECODER_DONE;
                if (*io->in != GZIP_FIRST_BYTE)
                        return error_set(err, EBADMSG, "%s", error_text(ISAL_INVALID_WRAPPER));
                start_member(self);
        }

        result = run(self, io);
        if (result < 0)
                return error_set(err, EBADMSG, "%s", error_text(result));
        if (self->phase == GZIP_HEADER) {
                if (result == ISAL_DECOMP_OK)
                        self->phase = GZIP_DATA;
        } else if (self->state.block_state == ISAL_BLOCK_FINISH) {
                self->phase = GZIP_BETWEEN;
                return DECODER_DONE;
        }
        return DECODER_BUSY;
}

/* ---- points ---- */

/*
 * ISA-L tells nothing about the borders of blocks, but a call whose input ends inside of a
 * block's header (some 80 bytes) leaves the state as it was before it, and the header's bytes
 * beside it. A stored block needs no border.
 */
static bool gzip_at(const void *decoder, uint64_t given, struct decoder_point *ret)
{
        const struct gzip_decoder *self = decoder;
        const struct inflate_state *state = &self->state;
        uint32_t bits = (uint32_t)state->read_in_length;

        bool stored = state->block_state == ISAL_BLOCK_TYPE0 && state->type0_block_len > 0 &&
                      state->type0_block_len <= UINT16_MAX && bits % 8 == 0;

        if (self->phase != GZIP_DATA || (state->block_state != ISAL_BLOCK_HDR && !stored) ||
            state->tmp_out_valid != state->tmp_out_processed || state->read_in_length < 0 ||
            state->bfinal || state->total_out < DECODER_WINDOW_SIZE)
                return false;
        *ret = (struct decoder_point){
                .in = given - (stored ? 0 : (uint64_t)state->tmp_in_size) - bits / 8,
                .crc = state->crc,
                .length = state->total_out,
                .stored = stored ? (uint16_t)state->type0_block_len : 0,
                .bits = bits % 8,
                .rest = (uint8_t)(state->read_in & ((1u << bits % 8) - 1)),
        };
        return true;
}

static void *gzip_resume(const struct decoder_point *point, const uint8_t *window,
                         struct error *err)
{
        struct gzip_decoder *self = gzip_open(err);

        if (!self)
                return NULL;
        self->phase = GZIP_DATA;
        /* Copied: nothing is written to it. */
        if (isal.inflate_set_dict(&self->state, (uint8_t *)window, DECODER_WINDOW_SIZE) !=
            ISAL_DECOMP_OK) {
                free(self);
                error_set(err, EINVAL, "cannot decompress from the middle");
                return NULL;
        }
        if (point->stored > 0) {
                self->state.block_state = ISAL_BLOCK_TYPE0;
                self->state.type0_block_len = point->stored;
        }
        self->state.read_in = point->rest;
        self->state.read_in_length = point->bits;
        /* The member's checksum goes on, and is verified at its end. */
        self->state.crc = point->crc;
        self->state.total_out = point->length;
        return self;
}

static bool gzip_agree(const void *decoder, const struct decoder_point *point)
{
        const struct gzip_decoder *self = decoder;

        return self->state.crc == point->crc && self->state.total_out == point->length;
}

static uint32_t gzip_pack(const uint8_t *window, uint8_t *out, uint32_t room)
{
        struct isal_zstream stream;

        isal.deflate_stateless_init(&stream);
        stream.end_of_stream = 1;
        stream.next_in = (uint8_t *)window; /* not written to */
        stream.avail_in = DECODER_WINDOW_SIZE;
        stream.next_out = out;
        stream.avail_out = room;
        return isal.deflate_stateless(&stream) == COMP_OK ? stream.total_out : 0;
}

static bool gzip_unpack(const uint8_t *packed, uint32_t size, uint8_t *window)
{
        struct inflate_state state;

        isal.inflate_init(&state);
        state.next_in = (uint8_t *)packed; /* not written to */
        state.avail_in = size;
        state.next_out = window;
        state.avail_out = DECODER_WINDOW_SIZE;
        return isal.inflate_stateless(&state) == ISAL_DECOMP_OK && state.avail_out == 0;
}

static uint32_t gzip_checksum(const void *data, size_t size)
{
        return isal.checksum(0, data, size);
}

static int gzip_load(struct error *err)
{
        return dynlib_need(&isal_library, err);
}

static const struct decoder_points gzip_points = {
        gzip_load, gzip_at, gzip_resume, gzip_agree, gzip_pack, gzip_unpack, gzip_checksum,
};

const struct decoder_format gzip_format = { "gzip", gzip_open, gzip_decode, free, &gzip_points };

/* ---- compression ---- */

/* The best that ISA-L has; still several times as fast as zlib at its default. */
#define ENCODER_LEVEL 3

struct gzip_encoder {
        struct isal_zstream stream;
        uint8_t level_buffer[ISAL_DEF_LVL3_DEFAULT];
};

static void *gzip_encoder_open(unsigned int threads, struct error *err)
{
        struct gzip_encoder *self;

        (void)threads;
        if (dynlib_need(&isal_library, err) < 0)
                return NULL;
        self = calloc(1, sizeof(*self));
        if (!self) {
                error_no_memory(err);
                return NULL;
        }
        isal.deflate_init(&self->stream);
        self->stream.level = ENCODER_LEVEL;
        self->stream.level_buf = self->level_buffer;
        self->stream.level_buf_size = sizeof(self->level_buffer);
        self->stream.gzip_flag = IGZIP_GZIP;
        return self;
}

static int gzip_encode(void *encoder, struct encoder_io *io, struct error *err)
{
        struct gzip_encoder *self = encoder;
        struct isal_zstream *stream = &self->stream;
        size_t in = io->in_left < UINT32_MAX ? io->in_left : UINT32_MAX;
        size_t out = io->out_left < UINT32_MAX ? io->out_left : UINT32_MAX;

        stream->next_in = (uint8_t *)io->in; /* not written to */
        stream->avail_in = (uint32_t)in;
        stream->next_out = io->out;
        stream->avail_out = (uint32_t)out;
        stream->end_of_stream = io->in_end && in == io->in_left;
        if (isal.deflate(stream) != COMP_OK)
                return error_set(err, EIO, "gzip: cannot compress");
        io->in += in - stream->avail_in;
        io->in_left -= in - stream->avail_in;
        io->out += out - stream->avail_out;
        io->out_left -= out - stream->avail_out;
        return stream->internal_state.state == ZSTATE_END;
}

const struct encoder_format gzip_encoder = { gzip_encoder_open, gzip_encode, free };
