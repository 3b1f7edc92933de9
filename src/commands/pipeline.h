/*
 * What import and load have in common: a remote image merged into a tree, the content
 * of its files given to a sink on the way. Private to commands/.
 *
 *      source (blobs as they arrive) → codec → layer → tree, top layer first
 *                                                        └→ sink
 *
 * The content of each visible file goes from the decompressor straight to the sink; a
 * file that an upper layer hides is skipped.
 */
#pragma once

#include "commands/commands.h"
#include "source/source.h"
#include "tree/tree.h"

/* A remote image and what it was opened with. */
struct remote_image {
        const char *uri, *arch; /* borrowed; arch may be NULL */
        struct source *source;
        struct source_options options;
        char *credentials;
};

#define REMOTE_IMAGE_INIT                                                                          \
        {                                                                                          \
                .source = NULL                                                                     \
        }

/*
 * Resolve the image that uri names, for the architecture of an --arch word (NULL: this
 * machine's). *ret must stay where it is until it is released.
 * Returns 0, or -1 with *err.
 */
int remote_image_open(struct remote_image *ret, const struct command_context *context,
                      const char *uri, const char *arch, struct error *err);

/* Fill the options only. */
int remote_image_prepare(struct remote_image *ret, const struct command_context *context,
                         const char *arch, struct error *err);
void remote_image_release(struct remote_image *image);
#define auto_remote_image auto_cleanup(remote_image_release)

/*
 * Where file content goes: begin, then append with rising offsets (gaps become holes),
 * then end. file->meta.size is the promised length; a hole at the end is appended as
 * nothing (size 0) at the offset where it ends. Each returns 0, or -1 with *err.
 */
struct content_sink {
        int (*begin_file)(void *context, struct tree_inode *file, struct error *err);
        int (*append)(void *context, const void *data, size_t size, uint64_t offset,
                      struct error *err);
        int (*end_file)(void *context, struct error *err);
        void *context;
};

/*
 * Merge configuration, layers and working directory into a new tree, which is finished.
 * What has come of it must not be published before source_verify returned 0.
 */
int pipeline_merge(const struct command_context *context, struct source *source, struct tree *tree,
                   const struct content_sink *sink, struct error *err);
