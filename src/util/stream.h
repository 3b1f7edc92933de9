/*
 * A sequential source of bytes: a file, a blob that is still arriving, a
 * decompressor over another stream. Used by one thread at a time.
 */
#pragma once

#include <stddef.h>
#include <sys/types.h>

#include "util/error.h"

struct stream {
        /*
         * Put up to size bytes into buffer. Returns how many, which may be fewer
         * than asked for; 0 at the end; -1 with *err.
         */
        ssize_t (*read)(struct stream *stream, void *buffer, size_t size, struct error *err);

        /*
         * Optional, NULL where it is not offered: the next piece in memory of the
         * stream's own, valid until the next call. Returns its size, 0 at the end, -1
         * with *err. Saves a copy where the stream has buffers of its own anyway.
         */
        ssize_t (*next)(struct stream *stream, const void **ret_data, struct error *err);

        /*
         * Optional: a new descriptor of the file in which all that was read so far lies from
         * offset 0 on, or -1 with *err.
         */
        int (*file)(struct stream *stream, struct error *err);

        /* Release the stream and everything that it owns. */
        void (*close)(struct stream *stream);
};

/* Read until size bytes are there or the stream ends. Returns how many, or -1 with *err. */
ssize_t stream_read_full(struct stream *stream, void *buffer, size_t size, struct error *err);

/*
 * The next piece of the stream: lent by it where it has next, else read into
 * buffer. Valid until the next call. Returns its size, 0 at the end, -1 with *err.
 */
ssize_t stream_next(struct stream *stream, void *buffer, size_t size, const void **ret_data,
                    struct error *err);

void stream_close(struct stream *stream);

static inline void cleanup_stream(struct stream **stream)
{
        if (*stream)
                stream_close(*stream);
}
#define auto_stream __attribute__((cleanup(cleanup_stream)))

/* A stream over a descriptor, which then belongs to it. NULL with *err, and fd closed. */
struct stream *stream_from_fd(int fd, struct error *err);

/* A stream over memory that must outlive it. NULL with *err on failure. */
struct stream *stream_from_memory(const void *data, size_t size, struct error *err);

/*
 * The opposite: takes a sequence of bytes. A sink that passes them on leaves the next one
 * to its owner.
 */
struct byte_sink {
        /* Take all size bytes. Returns 0, or -1 with *err. */
        int (*write)(struct byte_sink *sink, const void *data, size_t size, struct error *err);
};

static inline int byte_sink_write(struct byte_sink *sink, const void *data, size_t size,
                                  struct error *err)
{
        return sink->write(sink, data, size, err);
}
