/*
 * codec/: decompression streams, chosen by the first bytes of the data and never
 * by a media type or a file name (users' registries mislabel layers); and compression, in
 * the two formats that image layers have.
 */
#pragma once

#include <stdatomic.h>
#include <stdint.h>

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
 * 128 KiB) in front of the reader. stream_next gives its buffers without a copy.
 *
 * The source belongs to the new stream, and is closed on failure too. Closing
 * waits for the call on the source that is under way, and no further one is made.
 * An error of the source comes after what was read before it.
 */
struct stream *codec_prefetch(struct stream *source, size_t ahead, struct error *err);

/*
 * Points: places in a gzip file from which it can be decompressed without what comes
 * before, noted when it is read for the first time. With them, several threads decompress it at
 * the second reading. They are a file of some 1 % of the compressed data.
 *
 * As codec_open, and note points into the empty file fd, which stays the caller's.
 * *complete is set once they are all there, before the reader sees the end; not when they
 * are of no use (other formats, short data, points too far apart) or cannot be written.
 * Both must outlive the stream.
 */
struct stream *codec_open_noting(struct stream *source, int fd, atomic_bool *complete,
                                 struct error *err);

/*
 * The decompressed bytes of a gzip file with points, at most ahead bytes (and at least two
 * chunks of 4 MiB or somewhat more) before the reader. stream_next gives them without a copy.
 *
 * fd         of size bytes; belongs to the stream from here on, as does points_fd
 *
 * Returns NULL with *err when the points are of no use: EBADMSG when they are damaged or
 * of another file. Reading reports EBADMSG when file or points are damaged inside.
 */
struct stream *codec_open_points(int fd, uint64_t size, int points_fd, unsigned int threads,
                                 size_t ahead, struct error *err);

/*
 * As codec_prefetch, of a stream of codec_open_noting. When so much is ahead and the reader has
 * not begun, the machine's idle time goes into reading on: points are noted, the data dropped.
 * They are decompressed once more, on so many threads and at most chunks_ahead bytes before the
 * reader, when he comes there. Only if the source of the source has a file; without threads, never.
 */
struct stream *codec_prefetch_scouting(struct stream *source, size_t ahead, unsigned int threads,
                                       size_t chunks_ahead, struct error *err);

enum codec_format {
        CODEC_GZIP, /* RFC 1952, without a name or time */
        CODEC_ZSTD, /* RFC 8878, one frame with a checksum */
};

/*
 * Compression into a sink: write to .base, then finish once. The same data give the same
 * bytes, however they are cut into writes and on however many threads.
 */
struct codec_compressor;

/* target stays the caller's and must outlive it. NULL with *err on failure. */
struct codec_compressor *codec_compressor_open(enum codec_format format, unsigned int threads,
                                               struct byte_sink *target, struct error *err);
struct byte_sink *codec_compressor_sink(struct codec_compressor *compressor);

/* Give what is left to the target. Returns 0, or -1 with *err. */
int codec_compressor_finish(struct codec_compressor *compressor, struct error *err);
void codec_compressor_close(struct codec_compressor *compressor);
