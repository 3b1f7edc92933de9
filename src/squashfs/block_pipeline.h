/*
 * The block pipeline of the writer: blocks of file content go in on one side, in
 * order; threads look at them, hash and compress them in any order; and they are
 * placed in the image in the order in which they came, so that the image does not
 * depend on timing.
 *
 * Why not libsquashfs' block processor: it walks all earlier blocks for every file
 * (quadratic), wants holes as zeros, compares by 32-bit checksums or by reading back,
 * and loses the errno of a failed write.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include <sqfs/compressor.h>

#include "squashfs/content_hash.h"
#include "util/error.h"

/* Of stored_file.fragment: the file has no part in a fragment block. */
#define NO_FRAGMENT UINT32_MAX

/* In a block's size on disk: it is not compressed. */
#define BLOCK_UNCOMPRESSED (1u << 24)

/*
 * Where the content of a file is: either in blocks that follow each other in the
 * image, or, for files below one block, in a part of a fragment block, or nowhere
 * (empty, or nothing but holes).
 */
struct stored_file {
        struct stored_file *next;          /* the writer's list */
        struct stored_file *same_as;       /* the file whose blocks and place serve this one, too */
        struct stored_file *first_of_size; /* of a block and more: an earlier one as large */
        uint64_t size;                     /* bytes */
        uint64_t start;                    /* place of the first stored block */
        uint32_t *blocks;                  /* sizes on disk; 0 is a hole; NULL without blocks */
        uint32_t block_count;
        uint32_t fragment, fragment_offset;
        bool placed;              /* start is set: not all of it is holes */
        bool hashed;              /* the hash is made along with the blocks, or was made since */
        struct content_hash hash; /* of the content without its holes */
};

enum block_kind {
        BLOCK_DATA,     /* a piece of a file */
        BLOCK_FRAGMENT, /* the ends of several files */
        BLOCK_FILE_END, /* no content: all blocks of the file came before */
};

struct block {
        /* set by the submitter */
        enum block_kind kind;
        struct stored_file *file; /* of data and end */
        uint32_t index;           /* of data: number of the block in the file */
        uint32_t size;            /* bytes in data */
        uint8_t *data;            /* room for one block */

        /* the pipeline's */
        struct block *next;
        uint8_t *packed; /* the compressed block, packed_size bytes unless that is 0 */
        uint32_t packed_size;
        bool hole, processed;
        struct content_hash hash;
};

struct block_place {
        uint64_t start;
        uint32_t size; /* on disk, with BLOCK_UNCOMPRESSED */
};

struct block_pipeline_config {
        int fd;               /* of the image */
        uint64_t start;       /* where the first block goes */
        uint32_t block_size;  /* bytes */
        unsigned int workers; /* threads */
        unsigned int blocks;  /* most blocks in flight, with those that the submitter fills */
        bool plain_data, plain_fragments;
        sqfs_compressor_t *compressor; /* every thread gets a copy */
        const struct content_hash_key *key;
};

struct block_pipeline;

/* NULL with *err on failure. */
struct block_pipeline *block_pipeline_new(const struct block_pipeline_config *config,
                                          struct error *err);

/* Ends the threads; blocks that are not yet written are dropped. Accepts NULL. */
void block_pipeline_free(struct block_pipeline *pipeline);

/*
 * An empty block to fill, or NULL with *err once anything has failed in the pipeline.
 * Waits while all blocks are in flight. It must be submitted or given back; the
 * submitter may hold at most two.
 */
struct block *block_pipeline_get(struct block_pipeline *pipeline, struct error *err);
void block_pipeline_submit(struct block_pipeline *pipeline, struct block *block);
void block_pipeline_give_back(struct block_pipeline *pipeline, struct block *block);

/*
 * Wait until everything submitted is in the image. Returns 0, or -1 with the first
 * failure in *err. From then on, until the next submit, the rest below may be asked.
 */
int block_pipeline_drain(struct block_pipeline *pipeline, struct error *err);

/* The end of what is written so far. */
uint64_t block_pipeline_position(const struct block_pipeline *pipeline);

/* How many files had blocks that were there already. */
uint64_t block_pipeline_duplicates(const struct block_pipeline *pipeline);

/* The fragment blocks in the order in which they were submitted. */
const struct block_place *block_pipeline_fragments(const struct block_pipeline *pipeline,
                                                   uint32_t *ret_count);
