/*
 * codec/: decompression streams, chosen by the first bytes of the data and never
 * by a media type or a file name (users' registries mislabel layers).
 */
#pragma once

#include "util/stream.h"

/*
 * A stream of the decompressed bytes of source. gzip (RFC 1952, several members,
 * zero padding at the end), zstd (RFC 8878, several and skippable frames), xz,
 * bzip2 and lz4 frames are recognised; anything else is passed through as it is.
 *
 * source  belongs to the new stream, and is closed on failure too
 *
 * Memory is bounded whatever the data holds: what needs a window or a dictionary
 * of more than 128 MiB (more than "zstd -d" and "xz -9" have) is refused (EFBIG).
 *
 * Returns NULL with *err on failure. Reading reports EBADMSG for damaged data,
 * EIO for data that ends too early. After an error the stream can only be closed.
 */
struct stream *codec_open(struct stream *source, struct error *err);

/*
 * Run source in a thread of its own, at most ahead bytes (at least two buffers of
 * 512 KiB) in front of the reader. stream_next gives its buffers without a copy.
 *
 * The source belongs to the new stream, and is closed on failure too. Closing
 * waits for the call on the source that is under way, and no further one is made.
 * An error of the source comes after what was read before it.
 */
struct stream *codec_prefetch(struct stream *source, size_t ahead, struct error *err);
