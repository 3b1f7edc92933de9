/* Names of architectures and the order of their variants; private to image/. */
#pragma once

#include <stdbool.h>

#include "image/image.h"

/*
 * Bring an architecture and a variant of a document into Go's names ("aarch64" →
 * arm64). Unknown names are kept. Returns false when one of them is too long to be
 * a platform's name, or holds other characters than such names do.
 */
bool platform_normalize(const char *architecture, const char *variant, struct image_platform *ret);

/*
 * A number that grows with what a variant demands of the processor: "v7" 700,
 * "v8.2" 802; the architecture's baseline for ""; -1 for a name without an order.
 */
int platform_level(const struct image_platform *platform);

/* "linux/arm64/v8" for messages. */
#define PLATFORM_TEXT_SIZE 32
const char *platform_text(const struct image_platform *platform, char text[PLATFORM_TEXT_SIZE]);
