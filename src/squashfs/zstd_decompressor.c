#include "squashfs/zstd_decompressor.h"

#include <stdlib.h>

#include <sqfs/error.h>

#include "squashfs/libraries.h"

struct zstd_decompressor {
        sqfs_compressor_t base;
        ZSTD_DCtx *context;
};

static sqfs_s32 decompress(sqfs_compressor_t *base, const sqfs_u8 *in, sqfs_u32 size, sqfs_u8 *out,
                           sqfs_u32 out_size)
{
        ZSTD_DCtx *context = ((struct zstd_decompressor *)base)->context;
        size_t length = libzstd.decompress(context, out, out_size, in, size);

        return libzstd.is_error(length) ? SQFS_ERROR_COMPRESSOR : (sqfs_s32)length;
}

static void destroy(sqfs_object_t *object)
{
        struct zstd_decompressor *self = (struct zstd_decompressor *)object;

        (void)libzstd.free_dctx(self->context); /* accepts NULL */
        free(self);
}

int zstd_decompressor_create(sqfs_compressor_t **ret, struct error *err)
{
        struct zstd_decompressor *self;

        if (libzstd_need(err) < 0)
                return -1;
        self = calloc(1, sizeof(*self));
        if (!self)
                return error_no_memory(err);
        self->base.base.destroy = destroy;
        self->base.do_block = decompress;
        self->context = libzstd.create_dctx();
        if (!self->context) {
                destroy((sqfs_object_t *)self);
                return error_no_memory(err);
        }
        *ret = &self->base;
        return 0;
}
