/* Decompression of zstd blocks with a context that is kept. */
#pragma once

#include <sqfs/compressor.h>

/*
 * As sqfs_compressor_create, for SQFS_COMP_ZSTD with SQFS_COMP_FLAG_UNCOMPRESS. The
 * object of libsquashfs 1.2.0 makes and frees a context of 160 KB for every block.
 * Returns 0 or an SQFS_ERROR value.
 */
int zstd_decompressor_create(const sqfs_compressor_config_t *cfg, sqfs_compressor_t **ret);
