/*
 * A rootfs to look at: a directory, or something that only shows files as one would, such
 * as an image that is not mounted. Paths are resolved as by a process whose root it is;
 * links are followed and never lead out.
 */
#pragma once

#include <stdbool.h>
#include <sys/types.h>

#include "util/error.h"
#include "util/strbuf.h"

struct root_view {
        /*
         * Append the content of a regular file. Returns 0, or -1 with *err: ENOENT when
         * there is none, EINVAL for anything but a regular file, EFBIG past limit bytes.
         */
        int (*read)(const struct root_view *view, const char *path, size_t limit,
                    struct strbuf *content, struct error *err);

        /* Type and permissions of what path leads to. Returns 0, or -1 with errno. */
        int (*mode)(const struct root_view *view, const char *path, mode_t *ret);

        /* Text of a link that is itself not followed. malloc'd, or NULL with errno. */
        char *(*readlink)(const struct root_view *view, const char *path);

        int fd;              /* of a directory; borrowed */
        const void *context; /* of anything else; borrowed */
};

/* The directory that root_fd refers to, which must stay open. */
struct root_view root_view_directory(int root_fd);

bool root_view_exists(const struct root_view *view, const char *path);

/* Whether an absolute path leads to a regular file that somebody may execute. */
bool root_view_is_executable(const struct root_view *view, const char *path);
