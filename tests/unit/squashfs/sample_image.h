/* One image with some of everything, and checks of it through the reader and as files. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "squashfs/squashfs.h"

/* As builder_start; the image is complete afterwards. */
bool sample_build(const char *path, const char *words);

/* How much of an image or a directory is compared. */
enum sample_detail {
        SAMPLE_EXACT,    /* all of it */
        SAMPLE_EXTRACTED /* what unpack_image leaves: no devices, usable modes */
};

/* Compare with what sample_build put in. Failures end the test. */
void sample_check_image(struct squashfs_image *image, enum sample_detail detail);
void sample_check_directory(int dir_fd, enum sample_detail detail);

/* The inode at a path below the root; fails the test when there is none. */
squashfs_ref sample_find(struct squashfs_image *image, const char *path);
