/*
 * A remote image becomes an image file in one pass, without extraction (pipeline.h), with
 * the squashfs writer as the sink.
 */
#include "commands/image_build.h"

#include "commands/cache.h"

/* Merge the layers as they arrive, and write the image to fd. */
static int build_once(const struct command_context *context, struct source *source, int fd,
                      const struct squashfs_options *options, struct squashfs_stats *stats,
                      struct error *err)
{
        auto_tree struct tree *tree = tree_new(err);
        auto_squashfs_writer struct squashfs_writer *writer =
                tree ? squashfs_writer_new(fd, options, err) : NULL;
        const struct content_sink sink = image_output_sink(writer);

        if (!writer)
                return -1;
        if (pipeline_merge(context, source, tree, &sink, err) < 0 ||
            squashfs_writer_finish(writer, tree, stats, err) < 0)
                return -1;
        return source_verify(source, err);
}

/* Hits of the cache are not hashed, which would cost every import for the sake of few. */
int image_build(const struct command_context *context, struct remote_image *image,
                const struct image_output *output, struct error *err)
{
        const char *uri = image->uri, *arch = image->arch;
        struct squashfs_options options = { .compressor = 0 };
        struct squashfs_stats stats = { 0 };
        int result;

        if (image_output_options(context, &options, err) < 0)
                return -1;
        report_info(context->report, "Creating squashfs filesystem...");
        result = build_once(context, image->source, output->file.fd, &options, &stats, err);
        if (result < 0 && cache_drop_damaged(context, source_record(image->source), err) > 0) {
                remote_image_release(image);
                if (remote_image_open(image, context, uri, arch, err) < 0)
                        return -1;
                if (ftruncate(output->file.fd, 0) < 0 || lseek(output->file.fd, 0, SEEK_SET) < 0)
                        return error_errno(err, "%s", output->path);
                result = build_once(context, image->source, output->file.fd, &options, &stats,
                                     err);
        }
        if (result < 0)
                return error_prefix(err, "import %s to %s", uri, output->path);
        image_output_report(output, &stats, context->report);
        return 0;
}

