/*
 * What the files of the reader share: an open image, positions in its tables,
 * decoded inodes. Private to squashfs/.
 *
 * On disk everything is little-endian. Metadata (inodes, directories, tables) is
 * a chain of blocks of at most 8 KiB, each compressed by itself behind a 16-bit
 * header; a position in it is the place of a block on disk and an offset into its
 * decompressed content. Structures run across block ends.
 */
#pragma once

#include <pthread.h>
#include <stddef.h>
#include <stdint.h>

#include <sqfs/block.h>
#include <sqfs/compressor.h>
#include <sqfs/super.h>

#include "squashfs/block_cache.h"
#include "squashfs/squashfs.h"
#include "util/cleanup.h"

/* Decompressed metadata kept: the inodes and directories of some 300,000 files. */
#define METADATA_CACHE_SIZE (16 << 20)

/* Decompressed data kept: fragments, and blocks that were read in part. */
#define DATA_CACHE_SIZE (32 << 20)

#define NO_TABLE    UINT64_MAX
#define NO_FRAGMENT UINT32_MAX
#define NO_XATTRS   UINT32_MAX

/*
 * A directory's size counts "." and "..", which are not stored, as three bytes
 * (kernel, fs/squashfs/dir.c).
 */
#define DIRECTORY_SIZE_BIAS 3

struct meta_position {
        uint64_t block;  /* on disk, from the start of the image */
        uint32_t offset; /* into the decompressed block */
};

/*
 * Where block lists of large files were read before, so that a read near the end
 * does not add up all sizes from the first one on.
 */
#define CHECKPOINT_INTERVAL 1024 /* blocks */
#define CHECKPOINT_SLOTS    1024

struct block_checkpoint {
        squashfs_ref ref;
        uint64_t index;            /* of the block; 0: the slot is empty */
        uint64_t data;             /* where the block is on disk */
        struct meta_position list; /* where its entry in the list is */
};

/*
 * A table of entries of one size (ids, fragments, attributes), in metadata blocks
 * that an uncompressed list names. Where the blocks are is read when they are wanted.
 */
struct table {
        uint64_t list; /* on disk */
        uint32_t count;
        size_t entry_size;        /* divides 8 KiB */
        _Atomic uint64_t *blocks; /* 0: not read yet; NULL without entries */
};

struct decompressor;

struct squashfs_image {
        int fd;        /* borrowed */
        uint64_t base; /* where the image begins in the file; positions count from there */
        char *name;
        sqfs_super_t super; /* in the byte order of this machine */
        sqfs_compressor_config_t compressor;
        struct table ids, fragments, xattrs;
        uint64_t xattr_start; /* of keys and values; only with entries in xattrs */

        struct block_cache *metadata, *data;

        pthread_mutex_t lock;               /* for everything below */
        struct decompressor *decompressors; /* idle ones */
        struct block_checkpoint checkpoints[CHECKPOINT_SLOTS];
};

/* EBADMSG with the name of the image and "damaged image" in front. Always returns -1. */
int image_damaged(const struct squashfs_image *image, struct error *err, const char *fmt, ...)
        __attribute__((format(printf, 3, 4)));

/* Read size bytes at a position; reading past the end of the image is EBADMSG. */
int image_pread(const struct squashfs_image *image, void *buffer, size_t size, uint64_t position,
                struct error *err);

/* ---- decompression: loads blocks for the two caches ---- */

int load_metadata_block(void *context, struct cached_block *block, struct error *err);
int load_data_block(void *context, struct cached_block *block, struct error *err);

/* Make sure that a decompressor can be had. */
int decompressor_check(struct squashfs_image *image, struct error *err);
void decompressors_free(struct squashfs_image *image);

/* ---- metadata: a reading position that holds on to its block ---- */

struct meta_cursor {
        struct squashfs_image *image;
        struct cached_block *block; /* NULL before the first seek */
        uint32_t offset;
};

#define META_CURSOR_INIT(image_)                                                                   \
        {                                                                                          \
                .image = (image_), .block = NULL                                                   \
        }

int meta_seek(struct meta_cursor *cursor, struct meta_position position, struct error *err);
int meta_read(struct meta_cursor *cursor, void *buffer, size_t size, struct error *err);
int meta_skip(struct meta_cursor *cursor, uint64_t size, struct error *err);
struct meta_position meta_tell(const struct meta_cursor *cursor);
void meta_release(struct meta_cursor *cursor);
#define auto_meta_cursor auto_cleanup(meta_release)

/* The position that a 48-bit reference stands for, in the table that begins at start. */
struct meta_position meta_position_of(uint64_t reference, uint64_t start);

/* Prepare a table whose list must lie inside the image; what names it in messages. */
int table_init(struct squashfs_image *image, struct table *table, uint64_t list, uint32_t count,
               size_t entry_size, const char *what, struct error *err);
void table_release(struct table *table);

/* Read one entry; an index past the end is EBADMSG. */
int table_read(struct squashfs_image *image, struct table *table, uint32_t index, void *entry,
               struct error *err);

/* ---- inodes ---- */

struct inode {
        squashfs_ref ref;
        enum entry_type type;
        uint16_t mode; /* 07777 */
        uint16_t uid_index, gid_index;
        uint32_t mtime;
        uint32_t number;
        uint32_t links;
        uint32_t xattr_index; /* or NO_XATTRS */
        union {
                struct {
                        uint64_t size;
                        uint64_t start;       /* of the first block on disk */
                        uint64_t block_count; /* in full or last blocks, without the fragment */
                        uint32_t fragment;    /* or NO_FRAGMENT */
                        uint32_t fragment_offset;
                        struct meta_position list; /* of block sizes */
                } file;
                struct {
                        uint32_t size; /* of the listing in bytes, without the bias */
                        struct meta_position listing;
                        uint32_t parent; /* inode number */
                        uint16_t index_count;
                        struct meta_position index;
                } directory;
                struct {
                        uint32_t size;
                        struct meta_position text;
                } symlink;
                dev_t device;
        };
};

/* The id at an index of the table that inodes' owners refer to. */
int squashfs_read_id(struct squashfs_image *image, uint16_t index, uint32_t *ret,
                     struct error *err);

/* Decode the inode at ref; the cursor may be anywhere and keeps the block of the inode. */
int inode_read(struct meta_cursor *cursor, squashfs_ref ref, struct inode *ret, struct error *err);

/* The same for one inode alone. */
int inode_load(struct squashfs_image *image, squashfs_ref ref, struct inode *ret,
               struct error *err);

/* The text of a symbolic link as malloc'd memory, or NULL with *err. */
char *inode_link_text(struct squashfs_image *image, const struct inode *inode, struct error *err);

/* ---- data ---- */

/* Where the first byte of content lies on disk; 0 for a file without any. */
int file_position(struct squashfs_image *image, const struct inode *inode, uint64_t *ret,
                  struct error *err);

/* squashfs_map for an inode that is a file. */
int file_map(struct squashfs_image *image, const struct inode *inode, uint64_t offset,
             uint64_t size, struct squashfs_map *map, struct error *err);

/* ---- directories ---- */

/* squashfs_list and squashfs_lookup for an inode that is a directory. */
int directory_list(struct squashfs_image *image, const struct inode *inode, uint64_t start,
                   int (*visit)(const struct squashfs_dirent *entry, void *context,
                                struct error *err),
                   void *context, struct error *err);
int directory_lookup(struct squashfs_image *image, const struct inode *inode, const char *name,
                     squashfs_ref *ret, struct error *err);

/* ---- attributes ---- */

int inode_xattrs(struct squashfs_image *image, const struct inode *inode, struct xattr_list *ret,
                 struct error *err);

/* "user." attributes are the only ones that mean the same on every machine. */
bool xattr_is_user(const char *name);

/* Whether any file may have such attributes; false only when it is certain that none has. */
bool image_has_user_xattrs(struct squashfs_image *image);
