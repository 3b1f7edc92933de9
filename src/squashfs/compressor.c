/* Creation of compressors; see compressor.h. */
#include "squashfs/compressor.h"

#include <errno.h>
#include <stdlib.h>

#include <sqfs/error.h>
#include <sqfs/super.h>

#include "squashfs/lzo.h"
#include "squashfs/zstd_decompressor.h"

const char *compressor_name(int id)
{
        const char *name = sqfs_compressor_name_from_id((SQFS_COMPRESSOR)id);

        return name ? name : "unknown";
}

/* ---- LZ4 ---- */

/*
 * libsquashfs 1.2.0 passes on what LZ4 makes of a block even when it is longer than the
 * block, as the owner table of 4 bytes is, and unsquashfs refuses such blocks. This one
 * stands before libsquashfs' compressor and hands it no more room than is useful.
 */
struct lz4_compressor {
        sqfs_compressor_t base;
        sqfs_compressor_t *inner;
};

static sqfs_s32 lz4_do_block(sqfs_compressor_t *base, const sqfs_u8 *in, sqfs_u32 size,
                             sqfs_u8 *out, sqfs_u32 out_size)
{
        sqfs_compressor_t *inner = ((struct lz4_compressor *)base)->inner;

        if (size < 2)
                return 0;
        return inner->do_block(inner, in, size, out, out_size < size ? out_size : size - 1);
}

static void lz4_get_configuration(const sqfs_compressor_t *base, sqfs_compressor_config_t *cfg)
{
        const sqfs_compressor_t *inner = ((const struct lz4_compressor *)base)->inner;

        inner->get_configuration(inner, cfg);
}

static int lz4_write_options(sqfs_compressor_t *base, sqfs_file_t *file)
{
        sqfs_compressor_t *inner = ((struct lz4_compressor *)base)->inner;

        return inner->write_options(inner, file);
}

static int lz4_read_options(sqfs_compressor_t *base, sqfs_file_t *file)
{
        sqfs_compressor_t *inner = ((struct lz4_compressor *)base)->inner;

        return inner->read_options(inner, file);
}

static void lz4_destroy(sqfs_object_t *object)
{
        sqfs_destroy(((struct lz4_compressor *)object)->inner);
        free(object);
}

static sqfs_object_t *lz4_copy(const sqfs_object_t *object);

/* Takes inner, also on failure. */
static sqfs_compressor_t *lz4_wrap(sqfs_compressor_t *inner)
{
        struct lz4_compressor *lz4 = inner ? calloc(1, sizeof(*lz4)) : NULL;

        if (!lz4) {
                sqfs_destroy(inner);
                return NULL;
        }
        *lz4 = (struct lz4_compressor){
                .base = {
                        .base = { .destroy = lz4_destroy, .copy = lz4_copy },
                        .get_configuration = lz4_get_configuration,
                        .write_options = lz4_write_options,
                        .read_options = lz4_read_options,
                        .do_block = lz4_do_block,
                },
                .inner = inner,
        };
        return &lz4->base;
}

static sqfs_object_t *lz4_copy(const sqfs_object_t *object)
{
        return (sqfs_object_t *)lz4_wrap(sqfs_copy(((const struct lz4_compressor *)object)->inner));
}

/* ---- any ---- */

int compressor_create(const sqfs_compressor_config_t *cfg, sqfs_compressor_t **ret,
                      struct error *err)
{
        sqfs_compressor_t *compressor = NULL;
        int status;

        if (cfg->id == SQFS_COMP_LZO) {
#ifdef HAVE_LZO
                status = lzo_compressor_create(cfg, &compressor);
#else
                return error_set(err, EOPNOTSUPP,
                                 "this build has no LZO (build it with -Dlzo=enabled)");
#endif
        } else if (cfg->id == SQFS_COMP_ZSTD && cfg->flags & SQFS_COMP_FLAG_UNCOMPRESS) {
                status = zstd_decompressor_create(cfg, &compressor);
        } else {
                status = sqfs_compressor_create(cfg, &compressor);
        }

        if (status == SQFS_ERROR_ALLOC)
                return error_no_memory(err);
        if (status != 0)
                return error_set(err, EOPNOTSUPP,
                                 "compressor %s (number %u) with these settings is not supported",
                                 compressor_name(cfg->id), (unsigned int)cfg->id);
        if (cfg->id == SQFS_COMP_LZ4 && !(cfg->flags & SQFS_COMP_FLAG_UNCOMPRESS)) {
                compressor = lz4_wrap(compressor);
                if (!compressor)
                        return error_no_memory(err);
        }
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
