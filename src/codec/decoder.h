/*
 * What a compression format is to the rest of the folder. A decoder does no I/O:
 * it is given input and room for output and says how far it got.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "util/error.h"

/* The largest window or dictionary accepted, in bytes: what zstd(1) takes without --long. */
#define DECODER_WINDOW_LOG_MAX 27
#define DECODER_WINDOW_MAX     (1UL << DECODER_WINDOW_LOG_MAX)

/* Input not yet used, and room not yet filled; a decoder moves the pointers. */
struct decoder_io {
        const uint8_t *in;
        size_t in_left;
        bool in_end; /* nothing follows */
        uint8_t *out;
        size_t out_left;
};

enum decoder_state {
        DECODER_FAILED = -1, /* with *err */
        DECODER_BUSY = 0,    /* in the middle of something */
        DECODER_DONE = 1,    /* the data may end here, or go on with another frame */
};

/* How far back data may refer, where points are noted. */
#define DECODER_WINDOW_SIZE 32768

/*
 * A place between two blocks, or inside of one that is stored as it is. What comes behind it
 * needs the bytes before it as a window.
 */
struct decoder_point {
        uint64_t in;        /* offset in the compressed data of the first whole byte */
        uint32_t crc;       /* of the member's output up to here */
        uint32_t length;    /* the same: bytes, modulo 2^32 */
        uint16_t stored;    /* bytes that follow as they are */
        uint8_t bits, rest; /* how many bits of the byte before belong to it, and their value */
};

/* What a format can do that lets decompression begin in the middle. */
struct decoder_points {
        /* Comes before all others, unless a decoder was opened. Returns 0, or -1 with *err. */
        int (*load)(struct error *err);

        /*
         * Whether the decoder, which was given so many bytes since the beginning and has
         * given out all that it could, is at a point. That is rare, and likelier the shorter
         * the input of a call is.
         */
        bool (*at)(const void *decoder, uint64_t given, struct decoder_point *ret);

        /* A decoder as it was at the point. NULL with *err. */
        void *(*resume)(const struct decoder_point *point, const uint8_t *window,
                        struct error *err);

        /* Whether the output up to the point, the last byte just given, is what it was. */
        bool (*agree)(const void *decoder, const struct decoder_point *point);

        /* A window made smaller: its size, or 0. And back: false when it is damaged. */
        uint32_t (*pack)(const uint8_t *window, uint8_t *out, uint32_t room);
        bool (*unpack)(const uint8_t *packed, uint32_t size, uint8_t *window);

        uint32_t (*checksum)(const void *data, size_t size);
};

struct decoder_format {
        const char *name;
        void *(*open)(struct error *err);
        enum decoder_state (*decode)(void *decoder, struct decoder_io *io, struct error *err);
        void (*close)(void *decoder);
        const struct decoder_points *points; /* NULL: it can only begin at the beginning */
};

extern const struct decoder_format gzip_format, zstd_format, xz_format, bzip2_format, lz4_format;
