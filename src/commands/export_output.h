/* Where an export goes. Private to commands/. */
#pragma once

#include "commands/rootfs_tree.h"
#include "layout/layout.h"

enum export_format {
        EXPORT_SQUASHFS,
        EXPORT_OCI,
        EXPORT_OCI_ARCHIVE,
};

struct export_output {
        enum export_format format;
        char *path;
        const char *tag; /* of the OCI formats; inside path's memory, or static */
};

/*
 * Take apart --output ("FILE", "oci:DIR[:TAG]", "oci-archive:FILE[:TAG]") and --format,
 * either of which may be NULL. Returns 0, or -1 with *err. Pure.
 */
int export_output_parse(struct export_output *ret, const char *output, const char *format,
                        const char *name, struct error *err);
void export_output_release(struct export_output *output);
#define auto_export_output auto_cleanup(export_output_release)

/* NULL is gzip. Returns 0, or -1 with *err (EINVAL). */
int export_compression_parse(const char *word, enum layout_compression *ret, struct error *err);

/* Write the tree as an OCI image. */
int export_oci(struct rootfs_tree *rootfs, const struct layout_options *options, struct error *err);
