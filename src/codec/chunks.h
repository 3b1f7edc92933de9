/* A part of a gzip file once more, of which points are known so far. */
#pragma once

#include "codec/points.h"
#include "util/stream.h"

struct chunks_part {
        struct points_table table; /* its end is the part's */
        uint64_t from;             /* offset in the decompressed data, in the first chunk */
        int fd, points_fd;         /* of the compressed data, and of the windows */
};

/* Releases what a part has, if anything. */
void chunks_part_release(struct chunks_part *part);

/*
 * Decompress the part on several threads, at most ahead bytes (at least two chunks) before the
 * reader. What it has belongs to the stream from here on. NULL with *err on failure.
 */
struct stream *chunks_part_open(struct chunks_part *part, unsigned int threads, size_t ahead,
                                struct error *err);
