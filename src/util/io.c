#include "util/io.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <string.h>
#include <sys/statvfs.h>

#include "util/quantity.h"

/* From an offset, or with NULL from where the descriptor is. */
static ssize_t read_full(int fd, void *buffer, size_t size, const uint64_t *offset)
{
        size_t done = 0;

        while (done < size) {
                char *at = (char *)buffer + done;
                ssize_t n = offset ? pread(fd, at, size - done, (off_t)(*offset + done))
                                   : read(fd, at, size - done);

                if (n < 0 && errno == EINTR)
                        continue;
                if (n < 0)
                        return -1;
                if (n == 0)
                        break;
                done += (size_t)n;
        }
        return (ssize_t)done;
}

ssize_t io_read_full(int fd, void *buffer, size_t size)
{
        return read_full(fd, buffer, size, NULL);
}

ssize_t io_pread_full(int fd, void *buffer, size_t size, uint64_t offset)
{
        return read_full(fd, buffer, size, &offset);
}

int io_write_full(int fd, const void *data, size_t size)
{
        size_t done = 0;

        while (done < size) {
                ssize_t n = write(fd, (const char *)data + done, size - done);

                if (n < 0 && errno == EINTR)
                        continue;
                if (n < 0)
                        return -1;
                done += (size_t)n;
        }
        return 0;
}

int io_read_fd(int fd, const char *name, size_t limit, struct strbuf *content, struct error *err)
{
        char chunk[16384];

        for (;;) {
                ssize_t n = io_read_full(fd, chunk, sizeof(chunk));

                if (n < 0)
                        return error_errno(err, "%s", name);
                if (strbuf_append_mem(content, chunk, (size_t)n) < 0)
                        return error_no_memory(err);
                if (content->length > limit)
                        return error_set(err, EFBIG, "%s: larger than %zu bytes", name, limit);
                if ((size_t)n < sizeof(chunk))
                        return 0;
        }
}

int io_read_file(int dir_fd, const char *path, size_t limit, struct strbuf *content,
                 struct error *err)
{
        auto_close int fd = openat(dir_fd, path, O_RDONLY | O_CLOEXEC);

        if (fd < 0)
                return error_errno(err, "%s", path);
        return io_read_fd(fd, path, limit, content, err);
}

int io_write_file(int dir_fd, const char *path, const char *text, struct error *err)
{
        auto_close int fd = openat(dir_fd, path, O_WRONLY | O_CLOEXEC);
        size_t length = strlen(text);

        if (fd < 0)
                return error_errno(err, "%s", path);
        if (write(fd, text, length) != (ssize_t)length)
                return error_errno(err, "%s: write", path);
        return 0;
}

int io_check_space(int fd, const char *path, uint64_t bytes, const char *mend, struct error *err)
{
        char needed[QUANTITY_SIZE], free_text[QUANTITY_SIZE];
        struct statvfs st;
        uint64_t available;

        if (fstatvfs(fd, &st) < 0 || st.f_frsize == 0 || st.f_blocks == 0)
                return 0;
        available = st.f_bavail > UINT64_MAX / st.f_frsize ? UINT64_MAX
                                                           : st.f_bavail * st.f_frsize;
        if (bytes <= available)
                return 0;
        quantity_format_size(bytes, needed);
        quantity_format_size(available, free_text);
        return error_set(err, ENOSPC, "%s: no room: %s are needed, %s are free; %s", path, needed,
                         free_text, mend);
}
