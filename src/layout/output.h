/* Where a layout goes: a directory or an archive. Private to layout/. */
#pragma once

#include "layout/layout.h"
#include "util/temp_dir.h"
#include "util/temp_file.h"

#define LAYOUT_FILE  "oci-layout"
#define INDEX_FILE   "index.json"
#define BLOBS        "blobs"
#define BLOBS_SHA256 BLOBS "/sha256"

/* The image, all but the index. */
struct layout_image {
        struct image_descriptor layer, config, manifest; /* media types are borrowed */
        const struct strbuf *config_text, *manifest_text;
        struct temp_file layer_file;
};

struct layout_output {
        const struct layout_options *options;
        int parent_fd;    /* of the directory that options->path is in */
        const char *name; /* inside options->path; without slashes at its end for directories */
        char *path;       /* owns name */

        /* of a directory */
        struct temp_dir created; /* a new one */
        int dir_fd, blobs_fd;    /* it, and blobs/sha256 in it */
        struct strbuf old_index;
        bool has_index;

        /* of an archive */
        struct temp_file archive;
};

#define LAYOUT_OUTPUT_INIT                                                                         \
        {                                                                                          \
                .parent_fd = -1, .created = TEMP_DIR_INIT, .dir_fd = -1, .blobs_fd = -1,           \
                .archive = TEMP_FILE_INIT                                                          \
        }

/*
 * Begin, and make the file that the layer's blob is written to; add the image and publish.
 * Each returns 0, or -1 with *err.
 */
int directory_output_begin(struct layout_output *output, struct temp_file *ret_layer,
                           struct error *err);
int directory_output_finish(struct layout_output *output, struct layout_image *image,
                            struct error *err);
int archive_output_begin(struct layout_output *output, struct temp_file *ret_layer,
                         struct error *err);
int archive_output_finish(struct layout_output *output, struct layout_image *image,
                          struct error *err);
