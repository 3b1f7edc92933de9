/*
 * Nameless files in ENROOT_TEMP_PATH for archives that cannot be read at any place:
 * standard input, what a daemon sends, compressed archives. They are gone when their
 * descriptor is closed, however the process ends.
 */
#pragma once

#include <stdint.h>

#include "util/report.h"
#include "util/stream.h"

/*
 * Open an empty file, for reading and writing.
 *
 * path  ENROOT_TEMP_PATH
 * need  bytes that are known to come; 0 when it is not known
 *
 * Returns a descriptor, or -1 with *err: ENOSPC when there is less room than that.
 */
int spool_open(const char *path, uint64_t need, struct error *err);

/* Append. Returns 0, or -1 with *err, which names path and variable when there is no room. */
int spool_write(int fd, const char *path, const void *data, size_t size, struct error *err);

/* Append a stream up to its end. report counts the bytes; may be NULL. */
int spool_copy(int fd, const char *path, struct stream *stream, struct report *report,
               struct error *err);
