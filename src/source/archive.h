/*
 * A set of files by name that can be read at any place: a directory, or a tar
 * archive. What image layouts are kept in.
 *
 * Member names and links come from strangers: in an archive they only ever select
 * another member, in a directory nothing outside of it is opened.
 */
#pragma once

#include <stdbool.h>

#include "util/cleanup.h"
#include "util/report.h"
#include "util/strbuf.h"
#include "util/stream.h"

/* The most members of a tar archive. */
#define ARCHIVE_MEMBER_LIMIT 500000u

struct archive;

struct archive *archive_open_directory(const char *path, struct error *err);

/*
 * The tar archive in a file. One that is compressed, or that is no regular file, is
 * first written to a nameless file in temp_path (ENROOT_TEMP_PATH).
 *
 * fd  stays the caller's; read from its current position on when it is a pipe
 *
 * NULL with *err: EBADMSG for something else or a damaged archive, EIO for one that
 * ends too early.
 */
struct archive *archive_open_tar(int fd, const char *temp_path, struct report *report,
                                 struct error *err);
void archive_close(struct archive *archive);

static inline void cleanup_archive(struct archive **archive)
{
        if (*archive)
                archive_close(*archive);
}
#define auto_archive __attribute__((cleanup(cleanup_archive)))

/* A stretch of a file. */
struct extent {
        int fd; /* owned */
        uint64_t offset, size;
};

#define EXTENT_INIT                                                                                \
        {                                                                                          \
                .fd = -1                                                                           \
        }

static inline void extent_release(struct extent *extent)
{
        cleanup_close(&extent->fd);
}
#define auto_extent auto_cleanup(extent_release)

/*
 * Find a member, links inside the archive followed. Of several of one name the last
 * counts, as for tar. Returns 0, or -1 with *err: ENOENT when there is none, EINVAL
 * when it is no file, ELOOP.
 */
int archive_find(const struct archive *archive, const char *name, struct extent *ret,
                 struct error *err);
bool archive_has(const struct archive *archive, const char *name);

/* Append the content of a member. 0, or -1 with *err: EFBIG past limit bytes. */
int archive_read(const struct archive *archive, const char *name, size_t limit,
                 struct strbuf *content, struct error *err);

/*
 * A stream over an extent, which it takes over. report counts the bytes as done; may
 * be NULL. NULL with *err on failure.
 */
struct stream *extent_stream(struct extent *extent, struct report *report, struct error *err);
