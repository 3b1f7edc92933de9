#include "squashfs/wrapper.h"

#include <stdlib.h>

#include <sqfs/error.h>
#include <zstd.h>

struct wrapper_class {
        sqfs_s32 (*do_block)(sqfs_compressor_t *base, const sqfs_u8 *in, sqfs_u32 size,
                             sqfs_u8 *out, sqfs_u32 out_size);
        void *(*state_new)(void); /* NULL: it has no state */
        void (*state_free)(void *state);
};

struct wrapper {
        sqfs_compressor_t base;
        sqfs_compressor_t *inner;
        const struct wrapper_class *class;
        void *state;
};

static void get_configuration(const sqfs_compressor_t *base, sqfs_compressor_config_t *cfg)
{
        const sqfs_compressor_t *inner = ((const struct wrapper *)base)->inner;

        inner->get_configuration(inner, cfg);
}

static int write_options(sqfs_compressor_t *base, sqfs_file_t *file)
{
        sqfs_compressor_t *inner = ((struct wrapper *)base)->inner;

        return inner->write_options(inner, file);
}

static int read_options(sqfs_compressor_t *base, sqfs_file_t *file)
{
        sqfs_compressor_t *inner = ((struct wrapper *)base)->inner;

        return inner->read_options(inner, file);
}

static void destroy(sqfs_object_t *object)
{
        struct wrapper *wrapper = (struct wrapper *)object;

        if (wrapper->class->state_free)
                wrapper->class->state_free(wrapper->state);
        sqfs_destroy(wrapper->inner);
        free(wrapper);
}

static sqfs_object_t *copy(const sqfs_object_t *object);

static sqfs_compressor_t *wrapper_new(const struct wrapper_class *class, sqfs_compressor_t *inner)
{
        struct wrapper *wrapper = inner ? calloc(1, sizeof(*wrapper)) : NULL;

        if (!wrapper) {
                sqfs_destroy(inner);
                return NULL;
        }
        *wrapper = (struct wrapper){
                .base = {
                        .base = { .destroy = destroy, .copy = copy },
                        .get_configuration = get_configuration,
                        .write_options = write_options,
                        .read_options = read_options,
                        .do_block = class->do_block,
                },
                .inner = inner,
                .class = class,
        };
        if (class->state_new && !(wrapper->state = class->state_new())) {
                destroy((sqfs_object_t *)wrapper);
                return NULL;
        }
        return &wrapper->base;
}

static sqfs_object_t *copy(const sqfs_object_t *object)
{
        const struct wrapper *wrapper = (const struct wrapper *)object;

        return (sqfs_object_t *)wrapper_new(wrapper->class, sqfs_copy(wrapper->inner));
}

static sqfs_s32 lz4_compress(sqfs_compressor_t *base, const sqfs_u8 *in, sqfs_u32 size,
                             sqfs_u8 *out, sqfs_u32 out_size)
{
        sqfs_compressor_t *inner = ((struct wrapper *)base)->inner;

        if (size < 2)
                return 0;
        return inner->do_block(inner, in, size, out, out_size < size ? out_size : size - 1);
}

sqfs_compressor_t *wrapper_new_lz4(sqfs_compressor_t *inner)
{
        static const struct wrapper_class class = { .do_block = lz4_compress };

        return wrapper_new(&class, inner);
}

static sqfs_s32 zstd_decompress(sqfs_compressor_t *base, const sqfs_u8 *in, sqfs_u32 size,
                                sqfs_u8 *out, sqfs_u32 out_size)
{
        ZSTD_DCtx *context = ((struct wrapper *)base)->state;
        size_t length = ZSTD_decompressDCtx(context, out, out_size, in, size);

        return ZSTD_isError(length) ? SQFS_ERROR_COMPRESSOR : (sqfs_s32)length;
}

static void *zstd_state_new(void)
{
        return ZSTD_createDCtx();
}

static void zstd_state_free(void *state)
{
        (void)ZSTD_freeDCtx(state); /* accepts NULL */
}

sqfs_compressor_t *wrapper_new_zstd(sqfs_compressor_t *inner)
{
        static const struct wrapper_class class = {
                .do_block = zstd_decompress,
                .state_new = zstd_state_new,
                .state_free = zstd_state_free,
        };

        return wrapper_new(&class, inner);
}
