/*
 * The compressors that squashfs knows, as objects of libsquashfs' interface: its own
 * ones and LZO, which it lacks (liblzo2 is GPL-2.0-or-later, hence a build option).
 */
#pragma once

#include <sqfs/compressor.h>

#include "util/cleanup.h"
#include "util/error.h"

/*
 * Create what cfg asks for; SQFS_COMP_FLAG_UNCOMPRESS in cfg->flags makes it a
 * decompressor, for which compressor_config_to_read makes cfg. The object serves one
 * thread at a time; sqfs_copy makes another, sqfs_destroy ends it.
 *
 * Returns 0, or -1 with *err: EOPNOTSUPP, naming the compressor, when this build or
 * libsquashfs lacks it or refuses the settings.
 */
int compressor_create(const sqfs_compressor_config_t *cfg, sqfs_compressor_t **ret,
                      struct error *err);

/* A compressor that leaves everything as it is, for tables that are to stay uncompressed. */
int compressor_create_plain(sqfs_compressor_t **ret, struct error *err);

/* Settings to decompress blocks with. Returns 0, or -1 with *err. */
int compressor_config_to_read(int id, uint32_t block_size, sqfs_compressor_config_t *ret,
                              struct error *err);

/* "zstd"; never NULL. */
const char *compressor_name(int id);

/* The number of a name, or -1. */
int compressor_id(const char *name);

static inline void cleanup_compressor(sqfs_compressor_t **compressor)
{
        sqfs_destroy(*compressor);
}
#define auto_compressor auto_cleanup(cleanup_compressor)
