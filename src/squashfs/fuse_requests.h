/*
 * What the FUSE server answers (fuse_requests.c), apart from how it is run (fuse.c).
 */
#pragma once

#include <stdatomic.h>

#include "squashfs/image.h"
#include "squashfs/libraries.h"

/* The longest reply to a read, and what the kernel can ask for at once (256 pages). */
#define FUSE_READ_MAX (1 << 20)

/* The user data of the session. */
struct fuse_server {
        struct squashfs_image *image;
        const struct squashfs_serve_options *options;
        _Atomic enum {
                XATTRS_UNKNOWN,
                XATTRS_NONE,
                XATTRS_SOME,
        } xattrs;
};

extern const struct fuse_lowlevel_ops fuse_requests;
