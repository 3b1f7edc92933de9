/* Decompression with zstd, without libsquashfs. */
#pragma once

#include <sqfs/compressor.h>

#include "util/error.h"

/*
 * A decompressor; libzstd is loaded where it is not yet. It keeps its context of 160 KB, which
 * libsquashfs 1.2.0 makes and frees for every block. Returns 0, or -1 with *err.
 */
int zstd_decompressor_create(sqfs_compressor_t **ret, struct error *err);
