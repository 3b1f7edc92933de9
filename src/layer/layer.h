/*
 * layer/: a tar stream as a sequence of entries. The only user of libarchive,
 * which is loaded on first use.
 *
 * Understands ustar, pax, GNU long names and sparse files, hard links and
 * extended attributes (user.*, trusted.* and security.*, but neither those of
 * overlayfs nor security.selinux). Access control lists are left out. Names are
 * bytes: no character set is assumed.
 */
#pragma once

#include "tree/tree.h"
#include "util/stream.h"

struct layer;

/*
 * Read a tar archive from an already decompressed stream, which then belongs to
 * the layer (and is closed on failure). A stream of no bytes is an empty layer.
 * NULL with *err on failure: EBADMSG for something that is not a tar archive.
 */
struct layer *layer_open(struct stream *tar, struct error *err);
void layer_close(struct layer *layer);

static inline void cleanup_layer(struct layer **layer)
{
        if (*layer)
                layer_close(*layer);
}
#define auto_layer __attribute__((cleanup(cleanup_layer)))

/*
 * Go to the next entry. Device nodes are left out. Absolute names and ".." stay
 * inside the root (util/path.h, path_normalize). Whiteouts come as ordinary
 * entries with their ".wh." names.
 *
 * Returns 1 and fills *entry (to be released by the caller), 0 at the end of the
 * archive, or -1 with *err: EBADMSG for a damaged archive, EIO for one that ends
 * too early (end blocks may be missing, as GNU tar and Docker have it), E2BIG,
 * EFBIG and ENAMETOOLONG for what is over a limit. At the end the stream has been
 * read to its own end, so that checksums and digests over it are complete.
 */
int layer_next(struct layer *layer, struct entry *entry, struct error *err);

/*
 * The next piece of the current file's content; valid until the next call.
 *
 * ret_offset  where the piece belongs in the file, in bytes: a gap before it is a
 *             hole of a sparse file and reads as zeros
 *
 * Returns the size of the piece, 0 at the end, or -1 with *err. Content that is
 * not read is skipped by layer_next.
 */
ssize_t layer_read(struct layer *layer, const void **ret_data, uint64_t *ret_offset,
                   struct error *err);

/*
 * The opposite: a tar archive from entries, which the same entries make byte for byte. pax
 * records are written where ustar does not do: for long names, large numbers, attributes,
 * sparse files (as GNU tar's version 1.0).
 */
struct tar_writer;

/* target stays the caller's and must outlive the writer. NULL with *err on failure. */
struct tar_writer *tar_writer_new(struct byte_sink *target, struct error *err);
void tar_writer_free(struct tar_writer *writer);

static inline void cleanup_tar_writer(struct tar_writer **writer)
{
        if (*writer)
                tar_writer_free(*writer);
}
#define auto_tar_writer __attribute__((cleanup(cleanup_tar_writer)))

/* A part of a sparse file that is no hole. */
struct tar_range {
        uint64_t offset, size;
};

/*
 * Begin an entry; devices and sockets, which tar has no use for here, are refused (EINVAL).
 *
 * path    as in a tree; "" is the root
 * meta    a hard link has its target; the size counts for files
 * ranges  where a sparse file has data, rising; count 0: everywhere
 */
int tar_writer_begin(struct tar_writer *writer, const char *path, const struct entry_meta *meta,
                     const struct tar_range *ranges, size_t count, struct error *err);

/* The content of a file, holes as zeros: all of it, in any number of calls. */
int tar_writer_data(struct tar_writer *writer, const void *data, size_t size, struct error *err);

/* End the archive. */
int tar_writer_finish(struct tar_writer *writer, struct error *err);
