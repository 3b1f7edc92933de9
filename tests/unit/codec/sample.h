/* Data for tests of gzip. Failures end the test. */
#pragma once

#include <stddef.h>
#include <stdint.h>

/* Words out of a small set, so that it compresses as text does. malloc'd. */
uint8_t *make_text(size_t size);

/* The gzip member that zlib makes of size bytes at a level. malloc'd. */
uint8_t *make_member(const uint8_t *data, size_t size, int level, size_t *ret_size);
