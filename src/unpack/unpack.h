/*
 * unpack/: an image, or a tree that is being merged, as a directory, always beneath one
 * directory descriptor.
 */
#pragma once

#include "squashfs/squashfs.h"
#include "util/report.h"

struct unpack_options {
        unsigned int threads;
        /*
         * Give files the owners that they have in the image, for a caller who may: root of
         * the machine or of a user namespace. Without it everything becomes the caller's.
         */
        bool keep_owners;
        struct report *report; /* NULL: none */
};

/*
 * Extract an image into dir_fd, an empty directory, on several threads.
 *
 * Modes, times, hard links, sparse files and user.* attributes are kept, and the
 * owner gets read, write and search permission on every directory and read
 * permission on every file, so that the tree can be used and removed without
 * capabilities. Device nodes are left out. Names cannot
 * lead out of dir_fd: every file is made with O_EXCL in a directory that this
 * call made itself.
 *
 * Returns 0, or -1 with *err (ENOSPC, EDQUOT … name the path); what was extracted
 * so far stays for the caller to remove.
 */
int unpack_image(struct squashfs_image *image, int dir_fd, const struct unpack_options *options,
                 struct error *err);

/*
 * A directory out of a tree that is still being merged. Where a file belongs is certain
 * only when the tree is finished, so content goes into numbered files of a directory
 * beside it and gets its names in the end.
 */
struct dir_writer;

/*
 * Fill dir_fd, an empty directory, with the same result as unpack_image from an image of
 * the tree. stage_fd is another empty directory on the same file system, which the caller
 * removes afterwards with what is left in it. Both stay the caller's; small files are
 * written on so many threads. NULL with *err on failure.
 */
struct dir_writer *dir_writer_new(int dir_fd, int stage_fd, const struct unpack_options *options,
                                  struct error *err);
void dir_writer_free(struct dir_writer *writer);

/*
 * Store the content of one file, as squashfs_writer_begin_file and its like do. A failed
 * write (ENOSPC, EDQUOT …) is reported by one of the calls that follow, at the latest by
 * dir_writer_finish. The file's metadata must not change any more.
 */
int dir_writer_begin_file(struct dir_writer *writer, struct tree_inode *file, struct error *err);
int dir_writer_append(struct dir_writer *writer, const void *data, size_t size, uint64_t offset,
                      struct error *err);
int dir_writer_end_file(struct dir_writer *writer, struct error *err);

/* Make everything else of a finished tree. Returns 0, or -1 with *err. */
int dir_writer_finish(struct dir_writer *writer, struct tree *tree, struct error *err);

static inline void cleanup_dir_writer(struct dir_writer **writer)
{
        if (*writer)
                dir_writer_free(*writer);
}
#define auto_dir_writer __attribute__((cleanup(cleanup_dir_writer)))
