#include "source/spool.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>

#include "util/cancel.h"
#include "util/cleanup.h"
#include "util/io.h"
#include "util/path.h"

#define BUFFER_SIZE (256u << 10)

#define MAKE_ROOM "make room there, or set ENROOT_TEMP_PATH to a place with more of it"

/* Where there are no nameless files (NFS, some FUSE), the name is removed at once. */
static int open_nameless(const char *path)
{
        auto_free char *template = NULL;
        int fd = open(path, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);

        if (fd >= 0 || (errno != EOPNOTSUPP && errno != EISDIR))
                return fd;
        template = path_join(path, ".enroot-XXXXXX");
        if (!template)
                return -1;
        fd = mkostemp(template, O_CLOEXEC);
        if (fd >= 0)
                (void)unlink(template);
        return fd;
}

int spool_open(const char *path, uint64_t need, struct error *err)
{
        auto_close int fd = open_nameless(path);

        if (fd < 0)
                return error_errno(err, "ENROOT_TEMP_PATH: %s", path);
        if (need > 0 && io_check_space(fd, path, need, MAKE_ROOM, err) < 0)
                return error_prefix(err, "ENROOT_TEMP_PATH");
        return TAKE_FD(fd);
}

int spool_write(int fd, const char *path, const void *data, size_t size, struct error *err)
{
        if (io_write_full(fd, data, size) == 0)
                return 0;
        error_errno(err, "ENROOT_TEMP_PATH: %s", path);
        if (err->code == ENOSPC || err->code == EDQUOT)
                error_append(err, "; " MAKE_ROOM);
        return -1;
}

int spool_copy(int fd, const char *path, struct stream *stream, struct report *report,
               struct error *err)
{
        auto_free char *buffer = malloc(BUFFER_SIZE);

        if (!buffer)
                return error_no_memory(err);
        for (;;) {
                const void *data;
                ssize_t size = stream_next(stream, buffer, BUFFER_SIZE, &data, err);

                if (size <= 0)
                        return (int)size;
                if (spool_write(fd, path, data, (size_t)size, err) < 0 || cancel_check(err) < 0)
                        return -1;
                if (report)
                        report->progress.bytes_done += (uint64_t)size;
        }
}
