#include "layout/blob_sink.h"

#include <string.h>

#include "util/io.h"

static int blob_write(struct byte_sink *base, const void *data, size_t size, struct error *err)
{
        struct blob_sink *sink = (struct blob_sink *)base;

        sha256_update(sink->sha, data, size);
        sink->size += size;
        if (sink->next)
                return byte_sink_write(sink->next, data, size, err);
        return io_write_full(sink->fd, data, size) < 0 ? error_errno(err, "write") : 0;
}

int blob_sink_init(struct blob_sink *sink, struct byte_sink *next, int fd, struct error *err)
{
        *sink = (struct blob_sink){
                .base = { .write = blob_write },
                .sha = sha256_new(err),
                .next = next,
                .fd = fd,
        };
        return sink->sha ? 0 : -1;
}

void blob_sink_release(struct blob_sink *sink)
{
        sha256_free(sink->sha);
        sink->sha = NULL;
}

void blob_sink_digest(struct blob_sink *sink, char *ret)
{
        strcpy(ret, "sha256:");
        sha256_finish(sink->sha, ret + strlen(ret));
}
