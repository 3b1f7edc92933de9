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

struct decoder_format {
        const char *name;
        void *(*open)(struct error *err);
        enum decoder_state (*decode)(void *decoder, struct decoder_io *io, struct error *err);
        void (*close)(void *decoder);
};

extern const struct decoder_format gzip_format, zstd_format, xz_format, bzip2_format, lz4_format;
