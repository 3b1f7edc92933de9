/*
 * A file with the points of a compressed one: all windows, packed, then a table, then a
 * footer. Numbers have the order of bytes of the machine: the file stays where it was made, and
 * another order shows in the magic. The first chunk begins at the beginning and has an
 * entry without a window.
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "codec/decoder.h"

/* Output between two points, in bytes: as soon as one is found behind so much. */
#define POINTS_SPACING (4u << 20)

/* More than this between two points, and they are of little use: bytes of output. */
#define POINTS_CHUNK_MAX (16u << 20)

/* The most points of a file: 4 TiB of output, and 48 MiB of memory for the table. */
#define POINTS_MAX (1u << 20)

struct point_entry {
        struct decoder_point point;
        uint64_t out;         /* offset in the decompressed data */
        uint64_t window_at;   /* in the file */
        uint32_t window_size; /* packed; DECODER_WINDOW_SIZE: as it is */
};

struct points_table {
        struct point_entry *entries; /* count of them, and one at the end of the data */
        uint32_t count;
        uint64_t chunk_max; /* the most output between two entries */
};

void points_table_release(struct points_table *table);

/* ---- reading ---- */

/* What a file ends with; its table lies before it. */
struct points_footer {
        uint64_t magic, in_size, out_size; /* of the compressed data, and decompressed */
        uint32_t count, checksum;          /* of the table */
};

/* The size of the table that a footer speaks of, in bytes; 0 when it is none. */
size_t points_footer_check(const struct points_footer *footer, uint64_t in_size);

/* Take a table apart. Returns 0, or -1 with *err: EBADMSG when it is damaged. */
int points_table_parse(const struct points_footer *footer, const void *data, uint64_t windows,
                       struct points_table *ret, struct error *err);

/* ---- noting ---- */

struct points_noter;

/*
 * fd        an empty file, borrowed
 * complete  set when the file has everything
 */
struct points_noter *points_noter_new(int fd, atomic_bool *complete, struct error *err);
void points_noter_free(struct points_noter *noter);

/* A new descriptor of the file, or -1 with *err. */
int points_noter_file(const struct points_noter *noter, struct error *err);

/* How much input to give the decoder at most, of so much, where the output is at out. */
size_t points_noter_input(const struct points_noter *noter, uint64_t out, size_t left);

/*
 * Note the point that the decoder is at, if it is at one and one is due.
 *
 * given   bytes of input it had; out, bytes of output, with the last size of them in memory
 */
void points_noter_look(struct points_noter *noter, const void *decoder, uint64_t given,
                       uint64_t out, const uint8_t *last, size_t size);

/*
 * Whether there is a point near enough behind out that the data up to there can be had again,
 * and what follows is noted.
 */
bool points_noter_goes_on(const struct points_noter *noter, uint64_t out);

/*
 * The points so far from the last one before from on; the end is to, between points. Returns 0,
 * or -1 with *err.
 */
int points_noter_table(const struct points_noter *noter, uint64_t from, uint64_t to,
                       struct points_table *ret, struct error *err);

/* The end of the data. */
void points_noter_finish(struct points_noter *noter, uint64_t in_size, uint64_t out_size);
