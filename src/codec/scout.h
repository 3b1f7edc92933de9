/*
 * Reading on in a layer that is not yet wanted, for nothing but its points: what was passed is
 * decompressed once more, on several threads, when it is wanted. The stream is one of
 * codec_open_noting.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "codec/chunks.h"
#include "util/stream.h"

/* Whether what is read from now on can be had again. */
bool scout_may_go(const struct stream *stream);

/* How many bytes were read of it. */
uint64_t scout_position(const struct stream *stream);

/* What was read from an offset up to now. Returns 0, or -1 with *err. */
int scout_passed(struct stream *stream, uint64_t from, struct chunks_part *ret, struct error *err);
