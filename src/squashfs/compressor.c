/* Creation of compressors; see compressor.h. */
#include "squashfs/compressor.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>

#include <sqfs/error.h>
#include <sqfs/super.h>

#include "squashfs/lzo.h"
#include "squashfs/wrapper.h"

const char *compressor_name(int id)
{
        const char *name = sqfs_compressor_name_from_id((SQFS_COMPRESSOR)id);

        return name ? name : "unknown";
}

int compressor_create(const sqfs_compressor_config_t *cfg, sqfs_compressor_t **ret,
                      struct error *err)
{
        bool decompressing = cfg->flags & SQFS_COMP_FLAG_UNCOMPRESS;
        sqfs_compressor_t *compressor = NULL;
        int status;

        if (cfg->id == SQFS_COMP_LZO) {
#ifdef HAVE_LZO
                status = lzo_compressor_create(cfg, &compressor);
#else
                return error_set(err, EOPNOTSUPP,
                                 "this build has no LZO (build it with -Dlzo=enabled)");
#endif
        } else {
                status = sqfs_compressor_create(cfg, &compressor);
        }

        if (status == SQFS_ERROR_ALLOC)
                return error_no_memory(err);
        if (status != 0)
                return error_set(err, EOPNOTSUPP,
                                 "compressor %s (number %u) with these settings is not supported",
                                 compressor_name(cfg->id), (unsigned int)cfg->id);
        if (cfg->id == SQFS_COMP_LZ4 && !decompressing)
                compressor = wrapper_new_lz4(compressor);
        else if (cfg->id == SQFS_COMP_ZSTD && decompressing)
                compressor = wrapper_new_zstd(compressor);
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
