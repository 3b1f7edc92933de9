/* An image file made from a remote image, for import and run. Private to commands/. */
#pragma once

#include "commands/image_output.h"
#include "commands/pipeline.h"

/*
 * Merge the layers as they arrive, and write the image to the output, which is not
 * published. When that fails because of blobs that were damaged in the cache, they are
 * fetched again, and *image is opened again for it. Returns 0, or -1 with *err.
 */
int image_build(const struct command_context *context, struct remote_image *image,
                const struct image_output *output, struct error *err);
