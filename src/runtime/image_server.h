/* An image file behind a process that serves it as a file system; private to runtime/. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "squashfs/squashfs.h"
#include "util/cleanup.h"
#include "util/error.h"

struct identity;

struct image_server {
        int image_fd, fuse_fd;
        struct squashfs_image *image;
        int control_fd; /* to the process: a byte says that the image is mounted, closing, to end */
};

#define IMAGE_SERVER_INIT { .image_fd = -1, .fuse_fd = -1, .control_fd = -1 }

/* Let go of everything; a process whose image is not mounted ends. */
void image_server_release(struct image_server *server);
#define auto_image_server auto_cleanup(image_server_release)

/* Open and check an image, which begins at an offset of a file. Returns 0, or -1 with *err. */
int image_server_open(struct image_server *server, const char *path, uint64_t offset,
                      struct error *err);

/*
 * Start the process, in the user namespace that will mount.
 *
 * keep_fd  stays open as long as the process lives, which may hold a lock; -1: none
 * apart    this process is in the mount namespace already: the server makes its own
 *
 * Returns 0, or -1 with *err.
 */
int image_server_start(struct image_server *server, const struct identity *identity, int keep_fd,
                       bool apart, struct error *err);

/*
 * Mount the image on what target_fd refers to, with attributes as in struct mount_entry;
 * it is read-only, nosuid and nodev in any case. The process ends with the mount. source
 * is what /proc/self/mounts shows. Returns 0, or -1 with *err.
 */
int image_server_mount(struct image_server *server, const struct identity *identity,
                       const char *source, int target_fd, uint64_t attributes, struct error *err);
