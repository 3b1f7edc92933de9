/*
 * Compressors that stand before one of libsquashfs' and do the blocks in a better way.
 *
 * Each takes inner, also on failure and when it is NULL, and returns NULL without
 * memory.
 */
#pragma once

#include <sqfs/compressor.h>

/*
 * Compression with LZ4. libsquashfs 1.2.0 passes on what LZ4 makes of a block even when
 * it is longer than the block, as the owner table of 4 bytes is, and unsquashfs refuses
 * such blocks. This one hands it no more room than is useful.
 */
sqfs_compressor_t *wrapper_new_lz4(sqfs_compressor_t *inner);

/*
 * Decompression with zstd. libsquashfs 1.2.0 makes and frees a context of 160 KB for
 * every block; this one keeps it.
 */
sqfs_compressor_t *wrapper_new_zstd(sqfs_compressor_t *inner);
