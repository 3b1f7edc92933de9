/*
 * squashfs/: squashfs 4.0 images (Documentation/filesystems/squashfs.rst of the
 * kernel): writer, reader, FUSE server. The only user of libsquashfs and libfuse3.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "tree/tree.h"
#include "util/error.h"
#include "util/report.h"

/* ---- options, in mksquashfs' syntax ---- */

struct squashfs_options {
        int compressor;             /* SQFS_COMPRESSOR value of libsquashfs */
        int level;                  /* -Xcompression-level; 0: the compressor's default */
        uint32_t block_size;        /* -b; bytes, a power of two from 4 KiB to 1 MiB */
        bool plain_data;            /* -noD: store file data uncompressed */
        bool plain_fragments;       /* -noF */
        bool plain_inodes;          /* -noI: inode and directory tables */
        bool plain_xattrs;          /* -noX */
        bool plain_ids;             /* -noId */
        bool no_duplicates;         /* -no-duplicates: do not look for equal files */
        bool all_root;              /* -all-root: every owner is 0:0 */
        unsigned int processors;    /* -processors; 0: as many as may be used */
        uint64_t memory;            /* -mem; bytes of blocks in flight, 0: the default */
        bool has_mkfs_time, has_all_time;
        int64_t mkfs_time;          /* -mkfs-time: time stamp in the super block */
        int64_t all_time;           /* -all-time: time stamp of every inode */
};

/*
 * Parse words as mksquashfs takes them, starting from this program's defaults
 * (zstd at level 1, 128 KiB blocks, everything compressed).
 *
 * Options that mksquashfs has and this writer does not need are named in a
 * warning through report; a bad value is an error that names the word. Pure.
 */
int squashfs_options_parse(const char *words, struct squashfs_options *ret, struct report *report,
                           struct error *err);

/* ---- writer ---- */

struct squashfs_writer;

/*
 * Write an image to fd (readable, writable, empty; stays the caller's). Blocks
 * are compressed by options->processors threads; the bytes of the image depend
 * on the options and the calls alone, never on the number of threads.
 * NULL with *err on failure.
 */
struct squashfs_writer *squashfs_writer_new(int fd, const struct squashfs_options *options,
                                            struct error *err);
void squashfs_writer_free(struct squashfs_writer *writer);

/*
 * Store the content of one file: begin, then append with rising offsets (gaps
 * become holes), then end. size is the length promised by the entry; another
 * length is an error. The reference to the data goes into inode->data.
 */
int squashfs_writer_begin_file(struct squashfs_writer *writer, struct tree_inode *inode,
                               struct error *err);
int squashfs_writer_append(struct squashfs_writer *writer, const void *data, size_t size,
                           uint64_t offset, struct error *err);
int squashfs_writer_end_file(struct squashfs_writer *writer, struct error *err);

struct squashfs_stats {
        uint64_t image_bytes;   /* length of the image */
        uint64_t content_bytes; /* file data given to the writer */
        uint64_t files, directories, symlinks, hard_links, others;
        uint64_t duplicates;    /* files whose data was there already */
};

/*
 * Write the tables for a finished tree whose files were all stored, and the
 * super block. ret_stats may be NULL. Returns 0, or -1 with *err.
 */
int squashfs_writer_finish(struct squashfs_writer *writer, struct tree *tree,
                           struct squashfs_stats *ret_stats, struct error *err);

static inline void cleanup_squashfs_writer(struct squashfs_writer **writer)
{
        if (*writer)
                squashfs_writer_free(*writer);
}
#define auto_squashfs_writer __attribute__((cleanup(cleanup_squashfs_writer)))

/* ---- reader ---- */

/*
 * An open image. All functions may be called from several threads at once.
 * Every length and reference in an image is checked before it is used: an image
 * is untrusted input.
 */
struct squashfs_image;

/* Identifies a file inside an image (position of its inode in the inode table). */
typedef uint64_t squashfs_ref;

struct squashfs_stat {
        struct entry_meta meta; /* target and xattrs are not filled */
        uint32_t inode;         /* number; equal for hard links */
        uint32_t links;
};

/*
 * Whether the file starts like a squashfs image. Cheap; 1, 0, or -1 with *err
 * when it cannot be read.
 */
int squashfs_probe(int fd, struct error *err);

/*
 * Open an image. fd stays the caller's and must outlive the image. name is for
 * messages. NULL with *err: EBADMSG when it is not a squashfs image, when it is
 * shorter than it says (a download or copy that stopped half-way), or damaged;
 * EOPNOTSUPP for a compressor that this build lacks, named.
 */
struct squashfs_image *squashfs_open(int fd, const char *name, struct error *err);
void squashfs_close(struct squashfs_image *image);

static inline void cleanup_squashfs_image(struct squashfs_image **image)
{
        if (*image)
                squashfs_close(*image);
}
#define auto_squashfs_image __attribute__((cleanup(cleanup_squashfs_image)))

squashfs_ref squashfs_root(const struct squashfs_image *image);
int squashfs_stat(struct squashfs_image *image, squashfs_ref ref, struct squashfs_stat *ret,
                  struct error *err);

/* malloc'd text of a symbolic link, or NULL with *err. */
char *squashfs_readlink(struct squashfs_image *image, squashfs_ref ref, struct error *err);

/* Fill a list that the caller releases. Returns 0, or -1 with *err. */
int squashfs_xattrs(struct squashfs_image *image, squashfs_ref ref, struct xattr_list *ret,
                    struct error *err);

struct squashfs_dirent {
        const char *name; /* without "/" and never "." or ".."; valid during the call */
        squashfs_ref ref;
        uint32_t inode;
        enum entry_type type;
};

/*
 * Call visit for each name of a directory, in order, starting with the entry
 * number first (0 for all). visit returns 0 to go on, 1 to stop, -1 with *err.
 * Returns 0, or -1 with *err.
 */
int squashfs_list(struct squashfs_image *image, squashfs_ref dir, uint64_t first,
                  int (*visit)(const struct squashfs_dirent *entry, void *context,
                               struct error *err),
                  void *context, struct error *err);

/* Find a name in a directory. 1 and *ret, 0 when there is none, -1 with *err. */
int squashfs_lookup(struct squashfs_image *image, squashfs_ref dir, const char *name,
                    squashfs_ref *ret, struct error *err);

/* Read file content. Returns the bytes read (fewer only at the end), or -1 with *err. */
ssize_t squashfs_read(struct squashfs_image *image, squashfs_ref file, void *buffer, size_t size,
                      uint64_t offset, struct error *err);

/* ---- FUSE server ---- */

struct squashfs_serve_options {
        uint32_t uid, gid;    /* owner of every file, as seen in the user namespace of fuse_fd */
        unsigned int threads; /* 0: as many as processors may be used, at most 16 */
};

/*
 * Mount options for mount(2) of type "fuse" with the given descriptor of /dev/fuse.
 */
int squashfs_fuse_mount_data(int fuse_fd, uint32_t uid, uint32_t gid, char *data, size_t size,
                             struct error *err);

/*
 * Answer requests on fuse_fd (already mounted or about to be) until the file
 * system is unmounted or its last mount namespace is gone. Returns 0 then, or -1
 * with *err. Does not daemonise, print, or install signal handlers.
 */
int squashfs_serve(struct squashfs_image *image, int fuse_fd,
                   const struct squashfs_serve_options *options, struct error *err);
