/*
 * Whole reads and writes over descriptors, interrupted calls resumed.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "util/error.h"
#include "util/strbuf.h"

/* Read exactly size bytes unless the end comes first. Returns the bytes read, or -1 with errno. */
ssize_t io_read_full(int fd, void *buffer, size_t size);

/* The same from an offset, which leaves the descriptor's own position alone. */
ssize_t io_pread_full(int fd, void *buffer, size_t size, uint64_t offset);

/* Write all size bytes. Returns 0, or -1 with errno. */
int io_write_full(int fd, const void *data, size_t size);

/*
 * Append the content of a file to *content.
 *
 * dir_fd, path  as for openat; symbolic links are followed
 * limit         largest size accepted, in bytes
 *
 * Returns 0; or -1 with *err naming path: EFBIG past the limit, otherwise the
 * errno of the failing call (ENOENT for a missing file).
 */
int io_read_file(int dir_fd, const char *path, size_t limit, struct strbuf *content,
                 struct error *err);

/* The same from an open descriptor, which stays the caller's; name is for messages. */
int io_read_fd(int fd, const char *name, size_t limit, struct strbuf *content, struct error *err);

/* Write text to an existing file, as for the files of /proc: one write call. */
int io_write_file(int dir_fd, const char *path, const char *text, struct error *err);

/*
 * Whether so many bytes more fit into the file system that fd is on: 0, or -1 with *err
 * (ENOSPC) naming path, need, what is free, and then the mend. A file system that does
 * not tell, and a quota, show only when they are hit.
 */
int io_check_space(int fd, const char *path, uint64_t bytes, const char *mend, struct error *err);
