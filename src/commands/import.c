/*
 * import: a remote image becomes an image file (image_build.h), with --ensure only where
 * it is not one already. Nothing gets the image's name before every digest has matched.
 */
#include "commands/commands.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "commands/cache.h"
#include "commands/image_build.h"
#include "commands/record.h"
#include "store/store.h"

static int open_output(struct image_output *output, const struct import_arguments *arguments,
                       struct error *err)
{
        char *name;

        if (arguments->output)
                return image_output_open(output, strdup(arguments->output), arguments->ensure, err);
        name = source_file_name(arguments->uri, err);
        return name ? image_output_open(output, name, arguments->ensure, err) : -1;
}

/* ---- --ensure ---- */

/*
 * The record of the file that is there: 1 and *ret; 0 when there is none, or an image that
 * is damaged; -1 with *err when it is something that must not be replaced.
 */
static int read_existing(const struct command_context *context, const struct image_output *output,
                         struct image_record *ret, struct error *err)
{
        auto_close int fd = openat(output->dir_fd, output->name, O_RDONLY | O_CLOEXEC);
        int found;

        if (fd < 0)
                return errno == ENOENT ? 0 : error_errno(err, "%s", output->path);
        found = squashfs_probe(fd, err);
        if (found > 0)
                found = record_read_image(fd, output->path, ret, err);
        else if (found == 0)
                return error_set(err, EEXIST, "%s exists and is no image file: remove it, or give "
                                              "another name with --output",
                                 output->path);
        if (found == 0)
                return error_set(err, EEXIST,
                                 "%s exists and does not say what it was made from: remove it, or "
                                 "give another name with --output",
                                 output->path);
        if (found > 0 || err->code != EBADMSG)
                return found;
        report_warn(context->report, "%s; making it anew", err->message);
        return 0;
}

/* Whether a recorded image is for the platform that is asked for. */
static bool is_for(const struct image_record *record, const char *arch)
{
        auto_image_config struct image_config config = { .os = NULL };
        struct image_platform platform;
        struct error ignored = ERROR_INIT;

        return record->config && image_platform_parse(arch, &platform, &ignored) == 0 &&
               image_config_parse(record->config, strlen(record->config), &config, &ignored) == 0 &&
               image_config_check_platform(&config, &platform, &ignored) == 0;
}

/* Whether the reference is pinned and the record is of it: then nobody has to be asked. */
static bool is_pinned(const struct image_record *record, const struct import_arguments *arguments)
{
        auto_image_reference struct image_reference ref = { .user = NULL };
        auto_free char *uri = NULL;
        struct error ignored = ERROR_INIT;

        if (image_reference_parse(arguments->uri, &ref, &ignored) < 0 || !ref.digest)
                return false;
        uri = image_reference_uri(&ref);
        return uri && record->provenance && strcmp(uri, record->provenance) == 0 &&
               is_for(record, arguments->arch);
}

/* Whether the recorded image is what the source has now: 1, 0 for an older one, -1 with *err. */
static int is_current(const struct image_record *record, const struct image_record *wanted,
                      const char *path, struct error *err)
{
        if (!record->provenance || strcmp(record->provenance, wanted->provenance) != 0)
                return error_set(err, EEXIST,
                                 "%s exists and was made from %s: remove it, or give another name "
                                 "with --output",
                                 path, record->provenance ? record->provenance : "something else");
        return *wanted->digest && strcmp(record->digest, wanted->digest) == 0;
}

/*
 * Take the right to make the output, and open the image that it is to be made from.
 * Returns 1 when there is nothing to do, 0, or -1 with *err.
 */
static int ensure(const struct command_context *context, const struct import_arguments *arguments,
                  const struct image_output *output, struct lease *lease,
                  struct remote_image *image, struct error *err)
{
        auto_image_record struct image_record record = { .provenance = NULL };
        int current = 0, existing;

        if (lease_take(lease, output->dir_fd, output->name, context->report, err) < 0)
                return error_prefix(err, "output file %s", output->path);
        existing = read_existing(context, output, &record, err);
        if (existing < 0)
                return -1;
        if (existing > 0 && is_pinned(&record, arguments))
                current = 1;
        else if (remote_image_open(image, context, arguments->uri, arguments->arch, err) < 0)
                return -1;
        else if (existing > 0)
                current = is_current(&record, source_record(image->source), output->path, err);
        if (current > 0)
                report_info(context->report, "%s is up to date", output->path);
        return current;
}

/* ---- the import ---- */

/* What is an image file already is copied. */
static int import_image_file(const struct command_context *context,
                             const struct import_arguments *arguments, struct remote_image *image,
                             struct image_output *output, struct error *err)
{
        off_t size;

        if (arguments->ensure)
                return error_set(err, EINVAL,
                                 "%s: --ensure needs an image with a digest; an image file on a "
                                 "web server has none",
                                 arguments->uri);
        if (remote_image_prepare(image, context, arguments->arch, err) < 0)
                return -1;
        if (source_fetch_image_file(arguments->uri, &image->options, output->file.fd,
                                    context->report, err) < 0)
                return error_prefix(err, "import %s to %s", arguments->uri, output->path);
        size = lseek(output->file.fd, 0, SEEK_END);
        if (image_output_publish(output, err) < 0)
                return -1;
        report_info(context->report, "Created %s: %.1f MB", output->path, (double)size / 1e6);
        return 0;
}

int command_import(const struct command_context *context, const struct import_arguments *arguments,
                   struct error *err)
{
        auto_image_output struct image_output output = IMAGE_OUTPUT_INIT;
        auto_remote_image struct remote_image image = REMOTE_IMAGE_INIT;
        auto_lease struct lease lease = LEASE_INIT;

        if (open_output(&output, arguments, err) < 0)
                return -1;
        if (source_is_image_file(arguments->uri))
                return import_image_file(context, arguments, &image, &output, err);
        if (arguments->ensure) {
                int current = ensure(context, arguments, &output, &lease, &image, err);

                if (current != 0)
                        return current < 0 ? -1 : 0;
        } else if (remote_image_open(&image, context, arguments->uri, arguments->arch, err) < 0) {
                return -1;
        }
        if (image_build(context, &image, &output, err) < 0 ||
            image_output_publish(&output, err) < 0)
                return -1;
        cache_keep_limits(context);
        return 0;
}
