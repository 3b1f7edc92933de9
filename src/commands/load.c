/*
 * load: a remote image becomes a container directory in one pass (pipeline.h), without an
 * image file in between.
 */
#include "commands/commands.h"

#include <inttypes.h>
#include <string.h>

#include "commands/cache.h"
#include "commands/container.h"
#include "commands/new_container.h"
#include "commands/pipeline.h"
#include "unpack/unpack.h"

/* The name of the container: the option's, or the one that an import's file would have. */
static char *container_name(const struct load_arguments *arguments, struct error *err)
{
        char *name, *suffix;

        if (arguments->name) {
                name = strdup(arguments->name);
                if (!name)
                        error_no_memory(err);
                return name;
        }
        name = source_file_name(arguments->uri, err);
        suffix = name ? strrchr(name, '.') : NULL;
        if (suffix)
                *suffix = '\0';
        return name;
}

/* ---- the directory as a sink ---- */

static int begin_file(void *context, struct tree_inode *file, struct error *err)
{
        return dir_writer_begin_file(context, file, err);
}

static int append(void *context, const void *data, size_t size, uint64_t offset, struct error *err)
{
        return dir_writer_append(context, data, size, offset, err);
}

static int end_file(void *context, struct error *err)
{
        return dir_writer_end_file(context, err);
}

static int build_directory(const struct command_context *context, struct source *source, int dir_fd,
                           int stage_fd, struct error *err)
{
        const struct unpack_options options = container_unpack_options(context);
        auto_tree struct tree *tree = tree_new(err);
        auto_dir_writer struct dir_writer *writer =
                tree ? dir_writer_new(dir_fd, stage_fd, &options, err) : NULL;
        const struct content_sink sink = { begin_file, append, end_file, writer };

        if (!writer)
                return -1;
        if (pipeline_merge(context, source, tree, &sink, err) < 0 ||
            dir_writer_finish(writer, tree, err) < 0)
                return -1;
        return source_verify(source, err);
}

/* As image_build: once more, when that failed because of blobs that were damaged in the cache. */
static int build(const struct command_context *context, const struct load_arguments *arguments,
                 struct new_container *container, struct error *err)
{
        auto_remote_image struct remote_image image = REMOTE_IMAGE_INIT;
        auto_temp_dir struct temp_dir stage = TEMP_DIR_INIT;
        int result;

        if (new_container_begin_aside(container, &stage, err) < 0 ||
            remote_image_open(&image, context, arguments->uri, arguments->arch, err) < 0)
                return -1;
        report_info(context->report, "Loading container root filesystem...");
        result = build_directory(context, image.source, container->dir.fd, stage.fd, err);
        if (result < 0 && cache_drop_damaged(context, source_record(image.source), err) > 0) {
                remote_image_release(&image);
                temp_dir_discard(&stage);
                temp_dir_discard(&container->dir);
                if (new_container_begin_aside(container, &container->dir, err) < 0 ||
                    new_container_begin_aside(container, &stage, err) < 0 ||
                    remote_image_open(&image, context, arguments->uri, arguments->arch, err) < 0)
                        return -1;
                result = build_directory(context, image.source, container->dir.fd, stage.fd, err);
        }
        if (result < 0)
                error_prefix(err, "load %s to %s/%s", arguments->uri, context->config->data_path,
                             container->name);
        return result;
}

int command_load(const struct command_context *context, const struct load_arguments *arguments,
                 struct error *err)
{
        const struct config *config = context->config;
        auto_free char *name = container_name(arguments, err);
        auto_new_container struct new_container container = NEW_CONTAINER_INIT;

        if (!name || new_container_begin(&container, config, name, err) < 0 ||
            build(context, arguments, &container, err) < 0 ||
            new_container_publish(&container, err) < 0)
                return -1;
        report_info(context->report, "Created %s/%s: %.1f MB of content, %" PRIu64 " files",
                    config->data_path, name, (double)context->report->progress.bytes_written / 1e6,
                    (uint64_t)context->report->progress.entries);
        cache_keep_limits(context);
        return 0;
}
