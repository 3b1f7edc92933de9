#include "squashfs/zstd_decompressor.h"

#include <stdlib.h>

#include <sqfs/error.h>
#include <zstd.h>

struct zstd_decompressor {
        sqfs_compressor_t base;
        sqfs_compressor_t *inner; /* of libsquashfs, for everything but blocks */
        ZSTD_DCtx *context;
};

static sqfs_s32 decompress(sqfs_compressor_t *base, const sqfs_u8 *in, sqfs_u32 size, sqfs_u8 *out,
                           sqfs_u32 out_size)
{
        struct zstd_decompressor *zstd = (struct zstd_decompressor *)base;
        size_t length = ZSTD_decompressDCtx(zstd->context, out, out_size, in, size);

        return ZSTD_isError(length) ? SQFS_ERROR_COMPRESSOR : (sqfs_s32)length;
}

static void get_configuration(const sqfs_compressor_t *base, sqfs_compressor_config_t *cfg)
{
        sqfs_compressor_t *inner = ((const struct zstd_decompressor *)base)->inner;

        inner->get_configuration(inner, cfg);
}

static int write_options(sqfs_compressor_t *base, sqfs_file_t *file)
{
        sqfs_compressor_t *inner = ((struct zstd_decompressor *)base)->inner;

        return inner->write_options(inner, file);
}

static int read_options(sqfs_compressor_t *base, sqfs_file_t *file)
{
        sqfs_compressor_t *inner = ((struct zstd_decompressor *)base)->inner;

        return inner->read_options(inner, file);
}

static void destroy(sqfs_object_t *object)
{
        struct zstd_decompressor *zstd = (struct zstd_decompressor *)object;

        sqfs_destroy(zstd->inner);
        (void)ZSTD_freeDCtx(zstd->context);
        free(zstd);
}

static sqfs_object_t *copy(const sqfs_object_t *object);

/* Takes inner, also on failure. */
static struct zstd_decompressor *wrap(sqfs_compressor_t *inner)
{
        struct zstd_decompressor *zstd = inner ? calloc(1, sizeof(*zstd)) : NULL;
        ZSTD_DCtx *context = zstd ? ZSTD_createDCtx() : NULL;

        if (!context) {
                sqfs_destroy(inner);
                free(zstd);
                return NULL;
        }
        *zstd = (struct zstd_decompressor){
                .base = {
                        .base = { .destroy = destroy, .copy = copy },
                        .get_configuration = get_configuration,
                        .write_options = write_options,
                        .read_options = read_options,
                        .do_block = decompress,
                },
                .inner = inner,
                .context = context,
        };
        return zstd;
}

static sqfs_object_t *copy(const sqfs_object_t *object)
{
        return (sqfs_object_t *)wrap(sqfs_copy(((const struct zstd_decompressor *)object)->inner));
}

int zstd_decompressor_create(const sqfs_compressor_config_t *cfg, sqfs_compressor_t **ret)
{
        struct zstd_decompressor *zstd;
        sqfs_compressor_t *inner = NULL;
        int status = sqfs_compressor_create(cfg, &inner);

        if (status)
                return status;
        zstd = wrap(inner);
        if (!zstd)
                return SQFS_ERROR_ALLOC;
        *ret = &zstd->base;
        return 0;
}
