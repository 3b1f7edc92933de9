/* Creation of compressors; see compressor.h. */
#include "squashfs/compressor.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include <sqfs/error.h>
#include <sqfs/super.h>

#include "squashfs/libraries.h"
#include "squashfs/lz4_compressor.h"
#include "squashfs/lzo.h"
#include "squashfs/zstd_decompressor.h"

static const char *const names[] = {
        [SQFS_COMP_GZIP] = "gzip", [SQFS_COMP_LZMA] = "lzma", [SQFS_COMP_LZO] = "lzo",
        [SQFS_COMP_XZ] = "xz",     [SQFS_COMP_LZ4] = "lz4",   [SQFS_COMP_ZSTD] = "zstd",
};

const char *compressor_name(int id)
{
        return id >= SQFS_COMP_GZIP && id <= SQFS_COMP_ZSTD ? names[id] : "unknown";
}

int compressor_id(const char *name)
{
        for (int id = SQFS_COMP_GZIP; id <= SQFS_COMP_ZSTD; id++)
                if (strcmp(names[id], name) == 0)
                        return id;
        return -1;
}

/* What is decompressed without libsquashfs, which takes longer to load than a start may. */
static bool is_read_alone(int id)
{
        return id == SQFS_COMP_ZSTD || id == SQFS_COMP_LZO;
}

int compressor_config_to_read(int id, uint32_t block_size, sqfs_compressor_config_t *ret,
                              struct error *err)
{
        *ret = (sqfs_compressor_config_t){
                .id = (sqfs_u16)id,
                .flags = SQFS_COMP_FLAG_UNCOMPRESS,
                .block_size = block_size,
        };
        if (is_read_alone(id))
                return 0;
        if (libsquashfs_need(err) < 0)
                return -1;
        if (libsquashfs.compressor_config_init(ret, (SQFS_COMPRESSOR)id, block_size,
                                               SQFS_COMP_FLAG_UNCOMPRESS) != 0)
                return error_set(err, EOPNOTSUPP, "compressor number %d is not known", id);
        return 0;
}

int compressor_create(const sqfs_compressor_config_t *cfg, sqfs_compressor_t **ret,
                      struct error *err)
{
        bool decompressing = cfg->flags & SQFS_COMP_FLAG_UNCOMPRESS;
        sqfs_compressor_t *compressor = NULL;
        int status;

        if (cfg->id == SQFS_COMP_ZSTD && decompressing)
                return zstd_decompressor_create(ret, err);
        if (cfg->id == SQFS_COMP_LZO) {
#ifdef HAVE_LZO
                if (liblzo_need(err) < 0)
                        return -1;
                status = lzo_compressor_create(cfg, &compressor);
#else
                return error_set(err, EOPNOTSUPP,
                                 "this build has no LZO (build it with -Dlzo=enabled)");
#endif
        } else {
                if (libsquashfs_need(err) < 0)
                        return -1;
                status = libsquashfs.compressor_create(cfg, &compressor);
        }

        if (status == SQFS_ERROR_ALLOC)
                return error_no_memory(err);
        if (status != 0)
                return error_set(err, EOPNOTSUPP,
                                 "compressor %s (number %u) with these settings is not supported",
                                 compressor_name(cfg->id), (unsigned int)cfg->id);
        if (cfg->id == SQFS_COMP_LZ4 && !decompressing)
                compressor = lz4_bounded_create(compressor);
        if (!compressor)
                return error_no_memory(err);
        *ret = compressor;
        return 0;
}

/* ---- none ---- */

/* What the interface calls "did not get smaller"; libsquashfs then stores the input. */
static sqfs_s32 plain_do_block(sqfs_compressor_t *base, const sqfs_u8 *in, sqfs_u32 size,
                               sqfs_u8 *out, sqfs_u32 out_size)
{
        (void)base;
        (void)in;
        (void)size;
        (void)out;
        (void)out_size;
        return 0;
}

static void plain_destroy(sqfs_object_t *object)
{
        free(object);
}

int compressor_create_plain(sqfs_compressor_t **ret, struct error *err)
{
        sqfs_compressor_t *plain = calloc(1, sizeof(*plain));

        if (!plain)
                return error_no_memory(err);
        plain->base.destroy = plain_destroy;
        plain->do_block = plain_do_block;
        *ret = plain;
        return 0;
}
