/* See output.h. */
#include "squashfs/output.h"

#include <errno.h>
#include <unistd.h>

#include <sqfs/error.h>

#include "util/io.h"

/* Returns 0, or -1 with errno. */
static int write_all(int fd, const void *data, size_t size, uint64_t offset)
{
        const char *from = data;

        while (size > 0) {
                ssize_t written = pwrite(fd, from, size, (off_t)offset);

                if (written < 0 && errno == EINTR)
                        continue;
                if (written < 0)
                        return -1;
                from += written;
                offset += (uint64_t)written;
                size -= (size_t)written;
        }
        return 0;
}

int output_write(int fd, const void *data, size_t size, uint64_t offset, struct error *err)
{
        if (write_all(fd, data, size, offset) < 0)
                return error_errno(err, "write image");
        return 0;
}

int output_read(int fd, void *data, size_t size, uint64_t offset, struct error *err)
{
        ssize_t n = io_pread_full(fd, data, size, offset);

        if (n < 0)
                return error_errno(err, "read back image");
        if ((size_t)n < size)
                return error_set(err, EIO, "read back image: it became shorter");
        return 0;
}

static int write_at(sqfs_file_t *base, sqfs_u64 offset, const void *data, size_t size)
{
        struct output *output = (struct output *)base;

        if (write_all(output->fd, data, size, offset) < 0) {
                output->error = errno;
                return SQFS_ERROR_IO;
        }
        if (offset + size > output->size)
                output->size = offset + size;
        return 0;
}

static sqfs_u64 get_size(const sqfs_file_t *base)
{
        return ((const struct output *)base)->size;
}

static int truncate_to(sqfs_file_t *base, sqfs_u64 size)
{
        struct output *output = (struct output *)base;

        if (ftruncate(output->fd, (off_t)size) < 0) {
                output->error = errno;
                return SQFS_ERROR_IO;
        }
        output->size = size;
        return 0;
}

static void destroy(sqfs_object_t *object)
{
        (void)object;
}

void output_init(struct output *output, int fd, uint64_t size)
{
        *output = (struct output){
                .base = {
                        .base = { .destroy = destroy },
                        .write_at = write_at,
                        .get_size = get_size,
                        .truncate = truncate_to,
                },
                .fd = fd,
                .size = size,
        };
}

int output_check(const struct output *output, int status, const char *what, struct error *err)
{
        switch (status) {
        case 0:
                return 0;
        case SQFS_ERROR_ALLOC:
                return error_no_memory(err);
        case SQFS_ERROR_IO:
                errno = output->error;
                return error_errno(err, "write image: %s", what);
        default:
                return error_set(err, EIO, "write image: %s: libsquashfs error %d", what, status);
        }
}
