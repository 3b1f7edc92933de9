/*
 * LZO as a compressor of libsquashfs. The only user of liblzo2.
 *
 * liblzo2 does not know the size of its output buffer while it compresses, so
 * compression goes through a scratch buffer that holds the worst case.
 */
#include "squashfs/lzo.h"

#include <endian.h>
#include <stdlib.h>
#include <string.h>

#include <sqfs/block.h>
#include <sqfs/error.h>
#include <sqfs/io.h>
#include <sqfs/super.h>

#include "squashfs/libraries.h"

/* The most that LZO makes of size bytes (LZO.FAQ). */
#define LZO_WORST_CASE(size) ((size) + (size) / 16 + 64 + 3)

/* Bit 15 of a metadata block's length: stored uncompressed. */
#define META_UNCOMPRESSED 0x8000

struct lzo_compressor {
        sqfs_compressor_t base;
        sqfs_u16 algorithm;
        sqfs_u32 level, block_size;
        size_t scratch_size, memory_size;
        unsigned char memory[]; /* scratch, then liblzo2's working memory; none to decompress */
};

/* As it stands behind the super block. */
struct lzo_options {
        sqfs_u16 header;
        sqfs_u32 algorithm, level;
} __attribute__((packed));

static sqfs_s32 decompress(sqfs_compressor_t *base, const sqfs_u8 *in, sqfs_u32 size, sqfs_u8 *out,
                           sqfs_u32 out_size)
{
        lzo_uint length = out_size;

        (void)base;
        if (liblzo.decompress_safe(in, size, out, &length, NULL) != LZO_E_OK)
                return SQFS_ERROR_COMPRESSOR;
        return (sqfs_s32)length;
}

static sqfs_s32 compress(sqfs_compressor_t *base, const sqfs_u8 *in, sqfs_u32 size, sqfs_u8 *out,
                         sqfs_u32 out_size)
{
        struct lzo_compressor *lzo = (struct lzo_compressor *)base;
        unsigned char *work = lzo->memory + lzo->scratch_size;
        lzo_uint length = lzo->scratch_size;
        int status;

        if (LZO_WORST_CASE((size_t)size) > lzo->scratch_size)
                return SQFS_ERROR_ARG_INVALID;

        if (lzo->algorithm == SQFS_LZO1X_1)
                status = liblzo.compress_1(in, size, lzo->memory, &length, work);
        else
                status = liblzo.compress_999(in, size, lzo->memory, &length, work, NULL, 0,
                                                  NULL, (int)lzo->level);
        if (status != LZO_E_OK)
                return SQFS_ERROR_COMPRESSOR;
        if (length >= size || length > out_size)
                return 0;
        memcpy(out, lzo->memory, length);
        return (sqfs_s32)length;
}

static void get_configuration(const sqfs_compressor_t *base, sqfs_compressor_config_t *cfg)
{
        const struct lzo_compressor *lzo = (const struct lzo_compressor *)base;

        memset(cfg, 0, sizeof(*cfg));
        cfg->id = SQFS_COMP_LZO;
        cfg->block_size = lzo->block_size;
        cfg->level = lzo->level;
        cfg->opt.lzo.algorithm = lzo->algorithm;
        if (base->do_block == decompress)
                cfg->flags |= SQFS_COMP_FLAG_UNCOMPRESS;
}

static int write_options(sqfs_compressor_t *base, sqfs_file_t *file)
{
        const struct lzo_compressor *lzo = (const struct lzo_compressor *)base;
        struct lzo_options options = {
                .header = htole16(META_UNCOMPRESSED | (sizeof(options) - sizeof(options.header))),
                .algorithm = htole32(lzo->algorithm),
                .level = htole32(lzo->level),
        };
        int status;

        if (lzo->algorithm == SQFS_LZO_DEFAULT_ALG && lzo->level == SQFS_LZO_DEFAULT_LEVEL)
                return 0;
        status = file->write_at(file, sizeof(sqfs_super_t), &options, sizeof(options));
        return status ? status : (int)sizeof(options);
}

/* Decompression is the same for every setting, so the options only have to be well-formed. */
static int read_options(sqfs_compressor_t *base, sqfs_file_t *file)
{
        struct lzo_options options;
        int status = file->read_at(file, sizeof(sqfs_super_t), &options, sizeof(options));

        (void)base;
        if (status)
                return status;
        if (le16toh(options.header) !=
            (META_UNCOMPRESSED | (sizeof(options) - sizeof(options.header))))
                return SQFS_ERROR_CORRUPTED;
        return le32toh(options.algorithm) <= SQFS_LZO1X_999 ? 0 : SQFS_ERROR_UNSUPPORTED;
}

static void destroy(sqfs_object_t *object)
{
        free(object);
}

static sqfs_object_t *copy(const sqfs_object_t *object)
{
        const struct lzo_compressor *lzo = (const struct lzo_compressor *)object;
        struct lzo_compressor *twin = calloc(1, sizeof(*twin) + lzo->memory_size);

        if (!twin)
                return NULL;
        memcpy(twin, lzo, sizeof(*lzo));
        return (sqfs_object_t *)twin;
}

int lzo_compressor_create(const sqfs_compressor_config_t *cfg, sqfs_compressor_t **ret)
{
        bool decompressing = cfg->flags & SQFS_COMP_FLAG_UNCOMPRESS;
        size_t scratch_size = 0, memory_size = 0;
        struct lzo_compressor *lzo;

        if (cfg->flags & ~SQFS_COMP_FLAG_GENERIC_ALL || cfg->block_size > SQFS_MAX_BLOCK_SIZE)
                return SQFS_ERROR_UNSUPPORTED;
        if (!decompressing) {
                bool fast = cfg->opt.lzo.algorithm == SQFS_LZO1X_1 && cfg->level == 0;
                bool thorough = cfg->opt.lzo.algorithm == SQFS_LZO1X_999 && cfg->level >= 1 &&
                                cfg->level <= SQFS_LZO_MAX_LEVEL;

                if (!fast && !thorough)
                        return SQFS_ERROR_UNSUPPORTED;
                /* Metadata blocks are longer than the smallest data blocks. */
                scratch_size = cfg->block_size > SQFS_META_BLOCK_SIZE ? cfg->block_size
                                                                      : SQFS_META_BLOCK_SIZE;
                scratch_size = LZO_WORST_CASE(scratch_size);
                /* The working memory behind the scratch buffer holds pointers. */
                scratch_size = (scratch_size + 63) & ~(size_t)63;
                memory_size = scratch_size + (fast ? LZO1X_1_MEM_COMPRESS : LZO1X_999_MEM_COMPRESS);
        }

        lzo = calloc(1, sizeof(*lzo) + memory_size);
        if (!lzo)
                return SQFS_ERROR_ALLOC;
        *lzo = (struct lzo_compressor){
                .base = {
                        .base = { .destroy = destroy, .copy = copy },
                        .get_configuration = get_configuration,
                        .write_options = write_options,
                        .read_options = read_options,
                        .do_block = decompressing ? decompress : compress,
                },
                .algorithm = cfg->opt.lzo.algorithm,
                .level = cfg->level,
                .block_size = cfg->block_size,
                .scratch_size = scratch_size,
                .memory_size = memory_size,
        };
        *ret = &lzo->base;
        return 0;
}
