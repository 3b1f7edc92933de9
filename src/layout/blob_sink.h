/* Bytes on their way into a blob: hashed and counted, and passed on or written. */
#pragma once

#include <stdint.h>

#include "util/sha256.h"
#include "util/stream.h"

struct blob_sink {
        struct byte_sink base;
        struct sha256 *sha;
        uint64_t size;
        struct byte_sink *next; /* or, if NULL: */
        int fd;
};

/* next and fd are borrowed. Returns 0, or -1 with *err. */
int blob_sink_init(struct blob_sink *sink, struct byte_sink *next, int fd, struct error *err);
void blob_sink_release(struct blob_sink *sink);

/* "sha256:" and the digest of everything that went through; once. */
void blob_sink_digest(struct blob_sink *sink, char *ret);
