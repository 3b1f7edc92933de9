/*
 * A container as a tree, and the content of its files: what export writes. Private to
 * commands/.
 *
 * Of a lazy container it is what its overlay shows: the changes over the image. What is
 * left out is said in enroot-export(1).
 */
#pragma once

#include "commands/commands.h"
#include "commands/pipeline.h"
#include "commands/place.h"
#include "squashfs/squashfs.h"
#include "tree/tree.h"
#include "util/owner_access.h"

struct rootfs_tree {
        const struct command_context *context;
        struct place place;
        int root_fd; /* of the directory: the root, or the changes to an image */
        struct owner_access access;
        int image_fd;
        struct squashfs_image *image; /* NULL unless lazy */
        struct tree *tree;            /* finished; belongs to the struct */
        void *buffer;
};

#define ROOTFS_TREE_INIT                                                                           \
        {                                                                                          \
                .place = PLACE_INIT, .root_fd = -1, .image_fd = -1                                 \
        }

/* Read a container's tree. *ret must stay where it is until it is released. */
int rootfs_tree_open(struct rootfs_tree *ret, const struct command_context *context,
                     const char *name, struct error *err);

/* Give directories back the permissions that reading took. */
void rootfs_tree_release(struct rootfs_tree *rootfs);
#define auto_rootfs_tree auto_cleanup(rootfs_tree_release)

/* The content of one file of the tree. */
struct rootfs_file {
        struct rootfs_tree *rootfs;
        const char *path;
        uint64_t size;    /* as the tree has it */
        int fd;           /* in the directory, or -1: */
        squashfs_ref ref; /* in the image */
        bool dense;       /* has no holes */
};

#define ROOTFS_FILE_INIT                                                                           \
        {                                                                                          \
                .fd = -1                                                                           \
        }

/* path, which is borrowed, is where the tree has the file. */
int rootfs_file_open(struct rootfs_file *ret, struct rootfs_tree *rootfs, const char *path,
                     const struct tree_inode *inode, struct error *err);
void rootfs_file_close(struct rootfs_file *file);
#define auto_rootfs_file auto_cleanup(rootfs_file_close)

/*
 * Find data at or after *offset, which moves there. Returns 1 with where that data ends
 * for now; 0 when the rest of the file is a hole; -1 with *err.
 */
int rootfs_file_next_data(struct rootfs_file *file, uint64_t *offset, uint64_t *ret_end,
                          struct error *err);

/*
 * Give the sink all content of the file, from begin_file to end_file. What has become
 * shorter since the tree was read is filled up with zeros, with a warning.
 */
int rootfs_file_copy(struct rootfs_file *file, struct tree_inode *inode,
                     const struct content_sink *sink, struct error *err);

/* Append the content of a regular file; nothing if there is none. Returns 0, or -1 with *err. */
int rootfs_tree_read(struct rootfs_tree *rootfs, const char *path, size_t limit,
                     struct strbuf *content, struct error *err);
