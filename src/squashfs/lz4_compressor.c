#include "squashfs/lz4_compressor.h"

#include <stdlib.h>

struct lz4_compressor {
        sqfs_compressor_t base;
        sqfs_compressor_t *inner;
};

static void get_configuration(const sqfs_compressor_t *base, sqfs_compressor_config_t *cfg)
{
        const sqfs_compressor_t *inner = ((const struct lz4_compressor *)base)->inner;

        inner->get_configuration(inner, cfg);
}

static int write_options(sqfs_compressor_t *base, sqfs_file_t *file)
{
        sqfs_compressor_t *inner = ((struct lz4_compressor *)base)->inner;

        return inner->write_options(inner, file);
}

static int read_options(sqfs_compressor_t *base, sqfs_file_t *file)
{
        sqfs_compressor_t *inner = ((struct lz4_compressor *)base)->inner;

        return inner->read_options(inner, file);
}

static void destroy(sqfs_object_t *object)
{
        struct lz4_compressor *self = (struct lz4_compressor *)object;

        sqfs_destroy(self->inner);
        free(self);
}

static sqfs_s32 compress(sqfs_compressor_t *base, const sqfs_u8 *in, sqfs_u32 size, sqfs_u8 *out,
                         sqfs_u32 out_size)
{
        sqfs_compressor_t *inner = ((struct lz4_compressor *)base)->inner;

        if (size < 2)
                return 0;
        return inner->do_block(inner, in, size, out, out_size < size ? out_size : size - 1);
}

static sqfs_object_t *copy(const sqfs_object_t *object)
{
        const struct lz4_compressor *self = (const struct lz4_compressor *)object;

        return (sqfs_object_t *)lz4_bounded_create(sqfs_copy(self->inner));
}

sqfs_compressor_t *lz4_bounded_create(sqfs_compressor_t *inner)
{
        struct lz4_compressor *self = inner ? calloc(1, sizeof(*self)) : NULL;

        if (!self) {
                sqfs_destroy(inner);
                return NULL;
        }
        *self = (struct lz4_compressor){
                .base = {
                        .base = { .destroy = destroy, .copy = copy },
                        .get_configuration = get_configuration,
                        .write_options = write_options,
                        .read_options = read_options,
                        .do_block = compress,
                },
                .inner = inner,
        };
        return &self->base;
}
