/* LZO for squashfs images; only in builds with liblzo2. */
#pragma once

#include <sqfs/compressor.h>

/*
 * As sqfs_compressor_create, for SQFS_COMP_LZO. Compresses with LZO1X-1 (level 0) or
 * LZO1X-999 (levels 1 to 9). Returns 0 or an SQFS_ERROR value.
 */
int lzo_compressor_create(const sqfs_compressor_config_t *cfg, sqfs_compressor_t **ret);
