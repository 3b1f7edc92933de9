#include "util/stream.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "util/cleanup.h"

ssize_t stream_read_full(struct stream *stream, void *buffer, size_t size, struct error *err)
{
        size_t done = 0;

        while (done < size) {
                ssize_t n = stream->read(stream, (char *)buffer + done, size - done, err);

                if (n < 0)
                        return -1;
                if (n == 0)
                        break;
                done += (size_t)n;
        }
        return (ssize_t)done;
}

ssize_t stream_next(struct stream *stream, void *buffer, size_t size, const void **ret_data,
                    struct error *err)
{
        if (stream->next)
                return stream->next(stream, ret_data, err);
        *ret_data = buffer;
        return stream->read(stream, buffer, size, err);
}

void stream_close(struct stream *stream)
{
        stream->close(stream);
}

struct fd_stream {
        struct stream base;
        int fd;
};

static ssize_t fd_read(struct stream *stream, void *buffer, size_t size, struct error *err)
{
        struct fd_stream *self = (struct fd_stream *)stream;
        ssize_t n;

        do
                n = read(self->fd, buffer, size);
        while (n < 0 && errno == EINTR);
        if (n < 0)
                return error_errno(err, "read");
        return n;
}

static void fd_close(struct stream *stream)
{
        struct fd_stream *self = (struct fd_stream *)stream;

        (void)close(self->fd);
        free(self);
}

struct stream *stream_from_fd(int fd, struct error *err)
{
        struct fd_stream *self = calloc(1, sizeof(*self));

        if (!self) {
                (void)close(fd);
                error_no_memory(err);
                return NULL;
        }
        self->base = (struct stream){ .read = fd_read, .close = fd_close };
        self->fd = fd;
        return &self->base;
}

struct memory_stream {
        struct stream base;
        const char *data;
        size_t left;
};

static ssize_t memory_read(struct stream *stream, void *buffer, size_t size, struct error *err)
{
        struct memory_stream *self = (struct memory_stream *)stream;
        size_t n = size < self->left ? size : self->left;

        (void)err;
        memcpy(buffer, self->data, n);
        self->data += n;
        self->left -= n;
        return (ssize_t)n;
}

static ssize_t memory_next(struct stream *stream, const void **ret_data, struct error *err)
{
        struct memory_stream *self = (struct memory_stream *)stream;
        size_t n = self->left;

        (void)err;
        *ret_data = self->data;
        self->data += n;
        self->left = 0;
        return (ssize_t)n;
}

static void memory_close(struct stream *stream)
{
        free(stream);
}

struct stream *stream_from_memory(const void *data, size_t size, struct error *err)
{
        struct memory_stream *self = calloc(1, sizeof(*self));

        if (!self) {
                error_no_memory(err);
                return NULL;
        }
        self->base =
                (struct stream){ .read = memory_read, .next = memory_next, .close = memory_close };
        self->data = data;
        self->left = size;
        return &self->base;
}
