/* What the writer's files share: the image that is being written. */
#pragma once

#include "squashfs/block_pipeline.h"
#include "squashfs/compressor.h"
#include "squashfs/duplicates.h"
#include "squashfs/output.h"
#include "squashfs/squashfs.h"

struct squashfs_writer {
        struct squashfs_options options;
        struct output output;
        sqfs_compressor_t *compressor; /* of the caller's thread, for the tables */
        sqfs_compressor_t *plain;      /* for tables that stay uncompressed */
        struct content_hash_key key;
        struct block_pipeline *pipeline;
        bool has_compressor_options; /* they are in the image */

        struct stored_file *files; /* all, newest first; tree_inode.data points into it */
        uint64_t block_count;      /* of all of them */

        /* the file between begin and end; NULL outside */
        struct stored_file *file;
        uint64_t offset;     /* bytes of it that are there, holes included */
        struct block *block; /* being filled; NULL at a block's border, and for small files */

        /* The fragment block being filled, with one more file behind used, or NULL. */
        struct block *fragment;
        uint32_t fragment_index;
        struct duplicates small_files;
        struct duplicates large_sizes; /* the first file of each size of a block and more */

        struct squashfs_stats stats;
};

/* Write everything behind the data blocks, and the super block. 0, or -1 with *err. */
int writer_write_tables(struct squashfs_writer *writer, struct tree *tree, struct error *err);
