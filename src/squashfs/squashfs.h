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
#include "util/root_view.h"

/* ---- options, in mksquashfs' syntax ---- */

struct squashfs_options {
        int compressor;             /* SQFS_COMPRESSOR value of libsquashfs */
        int level;                  /* -Xcompression-level; 0: see squashfs_options_parse */
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
 * (zstd, 128 KiB blocks, everything compressed).
 *
 * A compressor without a level works as in mksquashfs, but for two that are much faster
 * here: zstd at level 1 instead of 15, lzo as LZO1X-1 instead of LZO1X-999 at level 8.
 *
 * Options that mksquashfs has and this writer does not need are named in a
 * warning through report; a bad value is an error that names the word. Pure.
 */
int squashfs_options_parse(const char *words, struct squashfs_options *ret, struct report *report,
                           struct error *err);

/* ---- writer ---- */

struct squashfs_writer;

/*
 * Write an image to fd (readable, writable, seekable, empty; stays the caller's). Blocks
 * are compressed by options->processors threads; the bytes of the image depend
 * on the options and the calls alone, never on the number of threads.
 * NULL with *err on failure.
 *
 * A failed write (ENOSPC, EFBIG, EDQUOT …) is reported by one of the calls that
 * follow, at the latest by squashfs_writer_finish, with its errno in *err.
 */
struct squashfs_writer *squashfs_writer_new(int fd, const struct squashfs_options *options,
                                            struct error *err);
void squashfs_writer_free(struct squashfs_writer *writer);

/*
 * Store the content of one file: begin, then append with rising offsets (gaps
 * become holes), then end. inode->meta.size is the promised length; another length
 * is an error (EMSGSIZE). A hole at the end is made by appending nothing (size 0)
 * at the offset where it ends. EFBIG for more than squashfs or memory can hold.
 *
 * The reference to the data goes into inode->data. It belongs to the writer, which
 * must outlive its use.
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
 *
 * Times outside 0 to 2^32 - 1 become the nearest one inside. Unless options say
 * otherwise, the super block has the time of the newest file, so that the same
 * image gives the same bytes on every run. Extended attributes outside user.,
 * trusted. and security., which squashfs does not know, are left out. EOVERFLOW for
 * more than 65,535 different owners.
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
        uint64_t position;      /* where a file's content begins in the image, 0 without content */
        bool has_xattrs;
};

/*
 * Whether the file starts like a squashfs image. Cheap; 1, 0, or -1 with *err
 * when it cannot be read.
 */
int squashfs_probe(int fd, struct error *err);

/*
 * What tells an image from another one, and from itself after a change: its super block,
 * in hexadecimal. That has the lengths and numbers of everything in the image and the time
 * of its newest file, and is the same for a copy of it, or when it is made again from the
 * same layers. Returns 0, or -1 with *err: EBADMSG when it is not a squashfs image.
 */
#define SQUASHFS_IDENTITY_SIZE (2 * 96 + 1)
int squashfs_identity(int fd, char ret[SQUASHFS_IDENTITY_SIZE], struct error *err);

/*
 * Open an image. fd stays the caller's and must outlive the image. name is for
 * messages. NULL with *err: EBADMSG when it is not a squashfs image, when it is
 * shorter than it says (a download or copy that stopped half-way), or damaged;
 * EOPNOTSUPP for a compressor that this build lacks, named.
 */
struct squashfs_image *squashfs_open(int fd, const char *name, struct error *err);

/*
 * The same for an image that begins at base, an offset in the file, at most INT64_MAX. All
 * positions in this header count from there.
 */
struct squashfs_image *squashfs_open_at(int fd, uint64_t base, const char *name,
                                        struct error *err);

/* The name of the compressor that the image was made with: "zstd". */
const char *squashfs_compression(const struct squashfs_image *image);
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

/* Fill an empty list that the caller releases, after a failure, too. Returns 0, or -1 with *err. */
int squashfs_xattrs(struct squashfs_image *image, squashfs_ref ref, struct xattr_list *ret,
                    struct error *err);

struct squashfs_dirent {
        const char *name; /* without "/" and never "." or ".."; valid during the call */
        squashfs_ref ref;
        uint32_t inode;
        enum entry_type type;
        uint64_t next; /* where to go on after this entry */
};

/*
 * Call visit for each name of a directory, in rising byte order and no name twice
 * (anything else is EBADMSG). start is 0 for all, or the .next of an entry for
 * those after it. visit returns 0 to go on, 1 to stop, -1 with *err.
 * Returns 0, or -1 with *err.
 */
int squashfs_list(struct squashfs_image *image, squashfs_ref dir, uint64_t start,
                  int (*visit)(const struct squashfs_dirent *entry, void *context,
                               struct error *err),
                  void *context, struct error *err);

/* Find a name in a directory. 1 and *ret, 0 when there is none, -1 with *err. */
int squashfs_lookup(struct squashfs_image *image, squashfs_ref dir, const char *name,
                    squashfs_ref *ret, struct error *err);

/*
 * Find what is at a normalised path (util/path.h), where every name but the last is a
 * directory: no link is followed. 1 and *ret, 0 when there is nothing, -1 with *err.
 */
int squashfs_find(struct squashfs_image *image, const char *path, squashfs_ref *ret,
                  struct error *err);

/* Read file content. Returns the bytes read (fewer only at the end), or -1 with *err. */
ssize_t squashfs_read(struct squashfs_image *image, squashfs_ref file, void *buffer, size_t size,
                      uint64_t offset, struct error *err);

/* A stretch of a file's content: nothing, in memory, or as it is in the image file. */
struct squashfs_extent {
        enum {
                SQUASHFS_HOLE,
                SQUASHFS_MEMORY,
                SQUASHFS_PLAIN,
        } kind;
        uint64_t size;               /* bytes, never 0 */
        const void *data;            /* of MEMORY */
        uint64_t position;           /* of PLAIN: offset in the image */
        struct cached_block *block;  /* the reader's: keeps data in memory */
        bool consumed;               /* the reader's: ends where its block ends */
};

/* A MiB of the smallest blocks, not aligned to them, and a fragment. */
#define SQUASHFS_MAP_EXTENTS 258

struct squashfs_map {
        uint64_t size; /* bytes of all extents together */
        size_t count;
        struct squashfs_extent extents[SQUASHFS_MAP_EXTENTS];
};

#define SQUASHFS_MAP_INIT { .count = 0 }

/*
 * Find file content without copying it. The map covers size bytes from offset on;
 * fewer when the file ends or the extents are used up; none at the end of the
 * file. What it refers to stays in memory until squashfs_unmap, so take about a
 * MiB at a time. Returns 0, or -1 with *err and an empty map.
 */
int squashfs_map(struct squashfs_image *image, squashfs_ref file, uint64_t offset, uint64_t size,
                 struct squashfs_map *ret, struct error *err);
void squashfs_unmap(struct squashfs_image *image, struct squashfs_map *map);

/*
 * All content will be read once, in the order in which it lies in the image, by so many
 * threads: few decompressed blocks are kept, and those stay in the processor's caches.
 */
void squashfs_read_once(struct squashfs_image *image, unsigned int threads);

/* Read the image itself, for extents of kind PLAIN. Returns 0, or -1 with *err. */
int squashfs_read_plain(struct squashfs_image *image, void *buffer, size_t size,
                        uint64_t position, struct error *err);

/* A part of the image file in memory, of one thread. */
struct squashfs_window {
        uint8_t *memory; /* NULL: none */
        size_t length;
        uint64_t start; /* in the file */
};

#define SQUASHFS_WINDOW_INIT { .memory = NULL }

/*
 * As squashfs_read_plain without the copy: where the bytes are, until the next call with
 * this window. They are for system calls alone, which say EFAULT when the file was cut off
 * meanwhile; whoever looks at them himself is killed by SIGBUS then. NULL when the file
 * cannot be mapped or does not have them, and for more than a few MiB.
 */
const void *squashfs_window_at(const struct squashfs_image *image, struct squashfs_window *window,
                               uint64_t position, size_t size);
void squashfs_window_release(struct squashfs_window *window);

/* The image as a rootfs to look at, without a mount. It must outlive the view. */
struct root_view squashfs_view(struct squashfs_image *image);

/*
 * Merge what an image holds into a tree, as a plain layer without file content. Of the
 * options, keep_owners and leave_out count. Returns 0, or -1 with *err.
 */
int squashfs_scan(struct squashfs_image *image, struct tree *tree,
                  const struct scan_options *options, struct error *err);

/* ---- FUSE server ---- */

struct squashfs_serve_options {
        /*
         * The user, as seen in the user namespace of fuse_fd. He owns every file; or, with a
         * count of ids, the files of root and of ids from the count on. The others' owners
         * are those in the image, and root has what would be the user's.
         */
        uint32_t uid, gid;
        uint32_t uid_count, gid_count;
        unsigned int threads; /* 0: as many as processors may be used, from 4 to 16 */
};

/*
 * Mount options for mount(2) of type "fuse" (or "fuse.NAME") with the given descriptor
 * of /dev/fuse, which must have been opened in the user namespace that mounts. Mount
 * with MS_RDONLY: the server leaves it to the kernel to refuse changes.
 * Returns 0, or -1 with *err when size is too small.
 */
int squashfs_fuse_mount_data(int fuse_fd, uint32_t uid, uint32_t gid, char *data, size_t size,
                             struct error *err);

/*
 * Load what serving needs, where somebody is told of what is missing: a process that is
 * forked to serve has nobody to tell. Returns 0, or -1 with *err.
 */
int squashfs_serve_prepare(struct error *err);

/*
 * Answer requests on fuse_fd (already mounted, or mounted within ten seconds) until
 * the file system is unmounted or its last mount namespace is gone. Returns 0 then,
 * or -1 with *err. Does not daemonise, print, or install signal handlers.
 *
 * The process that serves must be outside the mount namespaces that hold the mount
 * (fork, unshare(CLONE_NEWNS) in the child, mount afterwards in the parent): one that
 * is inside keeps its own file system alive for ever. fuse_fd stays the caller's.
 */
int squashfs_serve(struct squashfs_image *image, int fuse_fd,
                   const struct squashfs_serve_options *options, struct error *err);
