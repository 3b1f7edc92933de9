/* Reading blocks from disk and decompressing them, for the caches. */
#include "squashfs/image.h"

#include <endian.h>
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "squashfs/compressor.h"

#define METADATA_HEADER_SIZE  2
#define METADATA_UNCOMPRESSED 0x8000
#define METADATA_SIZE_MASK    0x7fff
#define METADATA_ON_DISK_MAX  (METADATA_HEADER_SIZE + SQFS_META_BLOCK_SIZE)

/* A compressor object serves one thread at a time, so idle ones wait in a list. */
struct decompressor {
        struct decompressor *next;
        sqfs_compressor_t *compressor;
        uint8_t input[]; /* the larger of a metadata block and a data block */
};

static struct decompressor *decompressor_new(struct squashfs_image *image, struct error *err)
{
        size_t input_size = image->super.block_size;
        struct decompressor *tool;

        if (input_size < METADATA_ON_DISK_MAX)
                input_size = METADATA_ON_DISK_MAX;
        tool = malloc(sizeof(*tool) + input_size);
        if (!tool) {
                error_no_memory(err);
                return NULL;
        }
        if (compressor_create(&image->compressor, &tool->compressor, err) < 0) {
                free(tool);
                error_prefix(err, "%s", image->name);
                return NULL;
        }
        return tool;
}

static struct decompressor *decompressor_take(struct squashfs_image *image, struct error *err)
{
        struct decompressor *tool;

        pthread_mutex_lock(&image->lock);
        tool = image->decompressors;
        if (tool)
                image->decompressors = tool->next;
        pthread_mutex_unlock(&image->lock);
        return tool ? tool : decompressor_new(image, err);
}

static void decompressor_return(struct squashfs_image *image, struct decompressor *tool)
{
        pthread_mutex_lock(&image->lock);
        tool->next = image->decompressors;
        image->decompressors = tool;
        pthread_mutex_unlock(&image->lock);
}

int decompressor_check(struct squashfs_image *image, struct error *err)
{
        struct decompressor *tool = decompressor_take(image, err);

        if (!tool)
                return -1;
        decompressor_return(image, tool);
        return 0;
}

void decompressors_free(struct squashfs_image *image)
{
        for (struct decompressor *tool = image->decompressors, *next; tool; tool = next) {
                next = tool->next;
                sqfs_destroy(tool->compressor);
                free(tool);
        }
}

static int decompress(struct squashfs_image *image, struct decompressor *tool, const uint8_t *input,
                      uint32_t input_size, struct cached_block *block, uint32_t capacity,
                      struct error *err)
{
        sqfs_s32 size = tool->compressor->do_block(tool->compressor, input, input_size, block->data,
                                                   capacity);

        if (size <= 0 || (uint32_t)size > capacity)
                return image_damaged(image, err, "the block at %" PRIu64 " does not decompress",
                                     block->key.position);
        block->size = (uint32_t)size;
        return 0;
}

static int load_metadata_with(struct squashfs_image *image, struct decompressor *tool,
                              struct cached_block *block, struct error *err)
{
        uint64_t position = block->key.position;
        uint64_t available = image->super.bytes_used - position;
        const uint8_t *content = tool->input + METADATA_HEADER_SIZE;
        uint16_t header, size;

        if (available > METADATA_ON_DISK_MAX)
                available = METADATA_ON_DISK_MAX;
        if (image_pread(image, tool->input, available, position, err) < 0)
                return -1;
        memcpy(&header, tool->input, sizeof(header));
        header = le16toh(header);
        size = header & METADATA_SIZE_MASK;
        if (size == 0 || size > SQFS_META_BLOCK_SIZE || size > available - METADATA_HEADER_SIZE)
                return image_damaged(image, err, "the metadata at %" PRIu64 " has a length of %u",
                                     position, size);

        block->disk_size = METADATA_HEADER_SIZE + size;
        if (!(header & METADATA_UNCOMPRESSED))
                return decompress(image, tool, content, size, block, SQFS_META_BLOCK_SIZE, err);
        memcpy(block->data, content, size);
        block->size = size;
        return 0;
}

int load_metadata_block(void *context, struct cached_block *block, struct error *err)
{
        struct squashfs_image *image = context;
        uint64_t position = block->key.position;
        struct decompressor *tool;
        int status;

        if (position < sizeof(sqfs_super_t) || position >= image->super.bytes_used ||
            image->super.bytes_used - position <= METADATA_HEADER_SIZE)
                return image_damaged(image, err, "refers to metadata at %" PRIu64, position);
        tool = decompressor_take(image, err);
        if (!tool)
                return -1;
        status = load_metadata_with(image, tool, block, err);
        decompressor_return(image, tool);
        return status;
}

/* Only compressed blocks come here; others are read where they are wanted. */
int load_data_block(void *context, struct cached_block *block, struct error *err)
{
        struct squashfs_image *image = context;
        struct decompressor *tool = decompressor_take(image, err);
        int status;

        if (!tool)
                return -1;
        block->disk_size = SQFS_ON_DISK_BLOCK_SIZE(block->key.size_word);
        status = image_pread(image, tool->input, block->disk_size, block->key.position, err);
        if (status == 0)
                status = decompress(image, tool, tool->input, block->disk_size, block,
                                    image->super.block_size, err);
        decompressor_return(image, tool);
        return status;
}
