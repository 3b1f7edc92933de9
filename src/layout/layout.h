/*
 * layout/: writes an image of one layer into an OCI image layout (image-layout.md of the
 * image specification), which is a directory, or one packed into a tar archive.
 *
 * Nothing is visible before it is complete: a new directory or archive gets its name at
 * the end; in a directory that exists, blobs are added and the index is replaced last.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "image/image.h"
#include "util/stream.h"

enum layout_compression {
        LAYOUT_GZIP,
        LAYOUT_ZSTD,
        LAYOUT_PLAIN,
};

struct layout_options {
        const char *path; /* of the directory or archive */
        const char *tag;
        bool archive;
        bool replace; /* an archive, or an image with the same tag */
        enum layout_compression compression;
        unsigned int threads;
};

struct layout_writer;

/*
 * Begin. The options' strings must outlive the writer. NULL with *err on failure: EEXIST
 * for an archive or a tag that exists, ENOTDIR and ENOTEMPTY for a path that is no layout.
 * Here and below the caller puts the path in front.
 */
struct layout_writer *layout_writer_new(const struct layout_options *options, struct error *err);
void layout_writer_free(struct layout_writer *writer);

static inline void cleanup_layout_writer(struct layout_writer **writer)
{
        if (*writer)
                layout_writer_free(*writer);
}
#define auto_layout_writer __attribute__((cleanup(cleanup_layout_writer)))

/* Where the uncompressed tar of the layer goes. */
struct byte_sink *layout_writer_layer(struct layout_writer *writer);

/* The layer is complete; diff_id is the digest of what was given, for the configuration. */
int layout_writer_end_layer(struct layout_writer *writer, char diff_id[IMAGE_DIGEST_SIZE],
                            struct error *err);

/* Add configuration, manifest and index, and publish. ret_bytes is the size of the layer's blob. */
int layout_writer_finish(struct layout_writer *writer, const struct strbuf *config,
                         uint64_t *ret_bytes, struct error *err);
