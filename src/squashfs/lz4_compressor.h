/* What libsquashfs does wrong with LZ4, done right. */
#pragma once

#include <sqfs/compressor.h>

/*
 * Compression with LZ4 by a compressor of libsquashfs. libsquashfs 1.2.0 passes on what LZ4
 * makes of a block even when it is longer than the block, as the owner table of 4 bytes is,
 * and unsquashfs refuses such blocks. This one hands it no more room than is useful.
 *
 * Takes inner, also on failure and when it is NULL. Returns NULL without memory. (The name
 * lz4_compressor_create is libsquashfs' own, which static programs see.)
 */
sqfs_compressor_t *lz4_bounded_create(sqfs_compressor_t *inner);
