/*
 * codec/: decompression streams, chosen by the first bytes of the data and never
 * by a media type or a file name (users' registries mislabel layers).
 */
#pragma once

#include "util/stream.h"

/*
 * A stream of the decompressed bytes of source. gzip (RFC 1952, several members),
 * zstd (RFC 8878, several and skippable frames), xz, bzip2 and lz4 frames are
 * recognised; anything else is passed through as it is.
 *
 * source  belongs to the new stream, and is closed on failure too
 *
 * Returns NULL with *err on failure. Reading reports EBADMSG for damaged data,
 * EIO for data that ends too early.
 */
struct stream *codec_open(struct stream *source, struct error *err);

/*
 * Run source in a thread of its own, at most ahead bytes in front of the reader.
 * The source is closed by the thread's end or by close, whichever is later.
 */
struct stream *codec_prefetch(struct stream *source, size_t ahead, struct error *err);
