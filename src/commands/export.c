/*
 * export: a container becomes an image file, or an OCI image (export_oci.c). Its tree is
 * read first, then files' content in the order of the tree, so that the same container
 * gives the same bytes.
 */
#include "commands/commands.h"

#include <errno.h>

#include "commands/container.h"
#include "commands/export_output.h"
#include "commands/image_output.h"

struct squashfs_export {
        struct rootfs_tree *rootfs;
        struct squashfs_writer *writer;
        struct content_sink sink;
};

static int store_file(void *context, const char *path, struct tree_node *node, struct error *err)
{
        struct squashfs_export *export = context;
        auto_rootfs_file struct rootfs_file file = ROOTFS_FILE_INIT;

        export->rootfs->context->report->progress.entries++;
        /* .data: a hard link, whose file is stored already. */
        if (node->inode->meta.type != ENTRY_FILE || node->inode->data)
                return 0;
        if (rootfs_file_open(&file, export->rootfs, path, node->inode, err) < 0)
                return -1;
        return rootfs_file_copy(&file, node->inode, &export->sink, err);
}

static int write_image(struct rootfs_tree *rootfs, int fd, const struct squashfs_options *options,
                       struct squashfs_stats *stats, struct error *err)
{
        auto_squashfs_writer struct squashfs_writer *writer = squashfs_writer_new(fd, options, err);
        struct squashfs_export export = {
                .rootfs = rootfs,
                .writer = writer,
        };

        if (!writer)
                return -1;
        export.sink = image_output_sink(writer);
        if (tree_walk(rootfs->tree, store_file, &export, err) < 0)
                return -1;
        return squashfs_writer_finish(writer, rootfs->tree, stats, err);
}

static int export_squashfs(const struct command_context *context, const char *name, char *path,
                           struct error *err)
{
        auto_rootfs_tree struct rootfs_tree rootfs = ROOTFS_TREE_INIT;
        auto_image_output struct image_output output = IMAGE_OUTPUT_INIT;
        struct squashfs_options options = { .compressor = 0 };
        struct squashfs_stats stats = { 0 };

        if (image_output_open(&output, path, context->config->force_override, err) < 0 ||
            image_output_options(context, &options, err) < 0)
                return -1;
        report_info(context->report, "Creating squashfs filesystem...");
        if (rootfs_tree_open(&rootfs, context, name, err) < 0 ||
            write_image(&rootfs, output.file.fd, &options, &stats, err) < 0)
                return error_prefix(err, "export %s to %s", name, path);
        if (image_output_publish(&output, err) < 0)
                return -1;
        image_output_report(&output, &stats, context->report);
        return 0;
}

static int export_layout(const struct command_context *context, const char *name,
                         const struct layout_options *options, struct error *err)
{
        auto_rootfs_tree struct rootfs_tree rootfs = ROOTFS_TREE_INIT;

        report_info(context->report, "Creating OCI image...");
        if (rootfs_tree_open(&rootfs, context, name, err) < 0 ||
            export_oci(&rootfs, options, err) < 0)
                return error_prefix(err, "export %s to %s", name, options->path);
        return 0;
}

int command_export(const struct command_context *context, const struct export_arguments *arguments,
                   struct error *err)
{
        auto_export_output struct export_output output = { .path = NULL };
        struct layout_options layout = {
                .replace = context->config->force_override,
                .threads = context->config->max_processors,
        };

        if (container_check_name(arguments->name, err) < 0 ||
            export_output_parse(&output, arguments->output, arguments->format, arguments->name,
                                err) < 0 ||
            export_compression_parse(arguments->compress, &layout.compression, err) < 0)
                return -1;
        if (output.format == EXPORT_SQUASHFS) {
                if (arguments->compress)
                        return error_set(err, EINVAL,
                                         "--compress is for OCI images; for an image "
                                         "file, set ENROOT_SQUASH_OPTIONS");
                return export_squashfs(context, arguments->name, TAKE_PTR(output.path), err);
        }
        layout.path = output.path;
        layout.tag = output.tag;
        layout.archive = output.format == EXPORT_OCI_ARCHIVE;
        return export_layout(context, arguments->name, &layout, err);
}
