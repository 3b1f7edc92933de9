/* Where images and containers came from, as their import recorded it. Private to commands/. */
#pragma once

#include "image/image.h"

/*
 * Read the record (IMAGE_RECORD_PATH) of an image file or of a container's directory.
 * Returns 1; 0 when there is none (an image of another tool; *ret is left alone); -1
 * with *err naming what is wrong.
 */
int record_read_image(int image_fd, const char *name, struct image_record *ret, struct error *err);
int record_read_container(int root_fd, struct image_record *ret, struct error *err);
