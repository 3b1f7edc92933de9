#include "commands/image_output.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>

void image_output_release(struct image_output *output)
{
        temp_file_discard(&output->file);
        if (output->dir_fd >= 0)
                (void)close(TAKE_FD(output->dir_fd));
        free(TAKE_PTR(output->path));
}

/* Open the directory that the path leads to, and find the name in it. */
static int open_directory(struct image_output *output, struct error *err)
{
        char *slash = strrchr(output->path, '/');

        output->name = slash ? slash + 1 : output->path;
        if (*output->name == '\0')
                return error_set(err, EISDIR, "--output %s names a directory", output->path);
        if (slash && slash > output->path) {
                *slash = '\0';
                output->dir_fd = open(output->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
                if (output->dir_fd < 0)
                        error_errno(err, "output directory %s", output->path);
                *slash = '/';
        } else {
                output->dir_fd = open(slash ? "/" : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
                if (output->dir_fd < 0)
                        error_errno(err, "current directory");
        }
        return output->dir_fd < 0 ? -1 : 0;
}

int image_output_open(struct image_output *output, char *path, bool replace, struct error *err)
{
        output->path = path;
        output->replace = replace;
        if (!path)
                return error_no_memory(err);
        if (open_directory(output, err) < 0)
                return -1;
        if (!replace && faccessat(output->dir_fd, output->name, F_OK, AT_SYMLINK_NOFOLLOW) == 0)
                return error_set(err, EEXIST,
                                 "file already exists: %s (remove it, or give another name with "
                                 "--output)",
                                 path);
        if (temp_file_create(&output->file, output->dir_fd, output->name, output->mode, err) < 0)
                return error_prefix(err, "output file %s", path);
        return 0;
}

int image_output_publish(struct image_output *output, struct error *err)
{
        if (temp_file_publish(&output->file, output->name, output->replace, err) < 0)
                return error_prefix(err, "output file %s", output->path);
        return 0;
}

int image_output_options(const struct command_context *context, struct squashfs_options *ret,
                         struct error *err)
{
        const struct config *config = context->config;

        if (squashfs_options_parse(config->squash_options, ret, context->report, err) < 0)
                return error_prefix(err, "ENROOT_SQUASH_OPTIONS");
        if (ret->processors == 0)
                ret->processors = config->max_processors;
        if (config->has_source_date_epoch) {
                ret->has_mkfs_time = ret->has_all_time = true;
                ret->mkfs_time = ret->all_time = config->source_date_epoch;
        }
        return 0;
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

struct content_sink image_output_sink(struct squashfs_writer *writer)
{
        return (struct content_sink){ begin_file, append, end_file, writer };
}

void image_output_report(const struct image_output *output, const struct squashfs_stats *stats,
                         struct report *report)
{
        report_info(report,
                    "Created %s: %.1f MB (%.1f MB of content, %" PRIu64 " files, %" PRIu64
                    " directories, %" PRIu64 " symbolic links, %" PRIu64 " hard links, %" PRIu64
                    " duplicates)",
                    output->path, (double)stats->image_bytes / 1e6,
                    (double)stats->content_bytes / 1e6, stats->files, stats->directories,
                    stats->symlinks, stats->hard_links, stats->duplicates);
}
