/* Images for tests, built from entries in memory. Failures end the test. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "squashfs/squashfs.h"
#include "tree/tree.h"

struct image_builder {
        const char *path;
        int fd;
        struct squashfs_options options;
        struct tree *tree;
        struct squashfs_writer *writer;
        struct squashfs_stats stats;
};

/*
 * Start an image at path with option words of mksquashfs. False, with a message and
 * nothing to end, where this build or its libraries lack the compressor.
 */
bool builder_start(struct image_builder *builder, const char *path, const char *words);

/* Add an entry, with content when it is a file; xattrs of meta are copied. */
void builder_add(struct image_builder *builder, const char *path, const struct entry_meta *meta,
                 const void *content);
void builder_file(struct image_builder *builder, const char *path, const void *content,
                  uint64_t size);
void builder_directory(struct image_builder *builder, const char *path);

/* A file with pieces of content and holes between them. Sizes of pieces are all the same. */
void builder_sparse(struct image_builder *builder, const char *path, uint64_t size,
                    const uint64_t *offsets, size_t count, const void *piece, size_t piece_size);

/* Complete the tree and the image. finish leaves the file; end closes and releases. */
void builder_finish(struct image_builder *builder);
void builder_end(struct image_builder *builder);

/* size bytes that compress by about a half; equal for equal seeds. malloc'd. */
void *make_content(size_t size, unsigned int seed);

/* Run another program, argv[0], without its output. Its exit status, or -1. */
int run_quietly(const char *const *argv);
