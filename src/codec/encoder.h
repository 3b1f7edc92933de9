/*
 * A compression format in the other direction, as decoder.h: an encoder does no I/O.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "util/error.h"

/* Input not yet used, and room not yet filled; an encoder moves the pointers. */
struct encoder_io {
        const uint8_t *in;
        size_t in_left;
        bool in_end; /* nothing follows */
        uint8_t *out;
        size_t out_left;
};

struct encoder_format {
        /* threads is a hint that does not change the bytes. */
        void *(*open)(unsigned int threads, struct error *err);

        /* Returns 1 when all is written of data that ended, 0 for more calls, -1 with *err. */
        int (*encode)(void *encoder, struct encoder_io *io, struct error *err);
        void (*close)(void *encoder);
};

extern const struct encoder_format gzip_encoder, zstd_encoder;
