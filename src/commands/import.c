/*
 * import: a remote image becomes an image file in one pass, without extraction
 * (pipeline.h), with the squashfs writer as the sink. Nothing gets the image's name
 * before every digest has matched.
 */
#include "commands/commands.h"

#include <string.h>

#include "commands/image_output.h"
#include "commands/pipeline.h"

static int open_output(struct image_output *output, const struct import_arguments *arguments,
                       struct error *err)
{
        auto_image_reference struct image_reference ref = { .user = NULL };

        if (arguments->output)
                return image_output_open(output, strdup(arguments->output), false, err);
        if (image_reference_parse(arguments->uri, &ref, err) < 0)
                return -1;
        return image_output_open(output, image_reference_file_name(&ref), false, err);
}

/* ---- the writer as a sink ---- */

static int begin_file(void *context, struct tree_inode *file, struct error *err)
{
        return squashfs_writer_begin_file(context, file, err);
}

static int append(void *context, const void *data, size_t size, uint64_t offset, struct error *err)
{
        return squashfs_writer_append(context, data, size, offset, err);
}

static int end_file(void *context, struct error *err)
{
        return squashfs_writer_end_file(context, err);
}

/* Merge the layers as they arrive, and write the image to fd. */
static int build_image(const struct command_context *context, struct source *source, int fd,
                       const struct squashfs_options *options, struct squashfs_stats *stats,
                       struct error *err)
{
        auto_tree struct tree *tree = tree_new(err);
        auto_squashfs_writer struct squashfs_writer *writer =
                tree ? squashfs_writer_new(fd, options, err) : NULL;
        const struct content_sink sink = { begin_file, append, end_file, writer };

        if (!writer)
                return -1;
        if (pipeline_merge(context, source, tree, &sink, err) < 0 ||
            squashfs_writer_finish(writer, tree, stats, err) < 0)
                return -1;
        return source_verify(source, err);
}

int command_import(const struct command_context *context, const struct import_arguments *arguments,
                   struct error *err)
{
        auto_image_output struct image_output output = IMAGE_OUTPUT_INIT;
        auto_remote_image struct remote_image image = REMOTE_IMAGE_INIT;
        struct squashfs_options options = { .compressor = 0 };
        struct squashfs_stats stats = { 0 };

        if (image_output_options(context, &options, err) < 0 ||
            open_output(&output, arguments, err) < 0 ||
            remote_image_open(&image, context, arguments->uri, arguments->arch, err) < 0)
                return -1;
        report_info(context->report, "Creating squashfs filesystem...");
        if (build_image(context, image.source, output.file.fd, &options, &stats, err) < 0)
                return error_prefix(err, "import %s to %s", arguments->uri, output.path);
        if (image_output_publish(&output, err) < 0)
                return -1;
        image_output_report(&output, &stats, context->report);
        return 0;
}
