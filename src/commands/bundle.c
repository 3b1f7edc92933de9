/*
 * bundle: an image file, the runtime and the configuration of this machine become one
 * file that runs elsewhere.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "bundle/bundle.h"
#include "commands/container.h"
#include "commands/image_output.h"
#include "commands/record.h"
#include "env/env.h"
#include "squashfs/squashfs.h"
#include "util/io.h"
#include "util/path.h"

#define RUNTIME_NAME "bundle-runtime-"

/* The last component of a path less a suffix, malloc'd; NULL without memory. */
static char *base_name(const char *path, const char *suffix)
{
        const char *slash = strrchr(path, '/'), *base = slash ? slash + 1 : path;
        size_t length = strlen(base), end = strlen(suffix);

        if (length > end && strcmp(base + length - end, suffix) == 0)
                length -= end;
        return strndup(base, length);
}

/* ---- what is said of the image ---- */

static int add_size(void *context, const char *path, struct tree_node *node, struct error *err)
{
        uint64_t *size = context;

        (void)path;
        (void)err;
        /* Once for all names of a file. */
        if (node->inode->meta.type == ENTRY_FILE && node->inode->sink == 0)
                *size += node->inode->meta.size;
        node->inode->sink = 1;
        return 0;
}

/* Bytes of content: what extracting it takes, at most. */
static int measure(struct squashfs_image *image, uint64_t *ret, struct error *err)
{
        const struct scan_options options = { .overlay = false };
        auto_tree struct tree *tree = tree_new(err);

        *ret = 0;
        if (!tree || squashfs_scan(image, tree, &options, err) < 0 ||
            tree_finish(tree, 0, err) < 0)
                return -1;
        return tree_walk(tree, add_size, ret, err);
}

/* Go's name of what the image runs on: what its import recorded, or this machine's. */
static int find_architecture(int image_fd, const char *path, char **ret, struct error *err)
{
        auto_image_record struct image_record record = { .provenance = NULL };
        auto_image_config struct image_config config = { .architecture = NULL };
        struct image_platform platform;

        if (record_read_image(image_fd, path, &record, err) < 0)
                return -1;
        if (record.config &&
            image_config_parse(record.config, strlen(record.config), &config, err) < 0)
                return error_prefix(err, "%s", path);
        if (image_platform_parse(config.architecture, &platform, err) < 0)
                return error_prefix(err, "%s", path);
        *ret = strdup(platform.architecture);
        return *ret ? 0 : error_no_memory(err);
}

static int describe(const struct bundle_arguments *arguments, const char *output, int image_fd,
                    struct squashfs_image *image, struct bundle *bundle, struct error *err)
{
        if (find_architecture(image_fd, arguments->image, &bundle->architecture, err) < 0 ||
            measure(image, &bundle->content_size, err) < 0)
                return -1;
        bundle->description = strdup(arguments->description ? arguments->description : "");
        bundle->target = arguments->target ? strdup(arguments->target)
                                           : base_name(output, ".run");
        bundle->version = strdup(ENROOT_VERSION);
        bundle->image = base_name(arguments->image, "");
        bundle->compression = strdup(squashfs_compression(image));
        if (!bundle->description || !bundle->target || !bundle->version || !bundle->image ||
            !bundle->compression)
                return error_no_memory(err);
        return 0;
}

/* ---- what it carries of this machine ---- */

static int add_configuration(const char *directory, const char *inside, struct bundle *bundle,
                             struct error *err)
{
        static const char *const names[] = { "hooks.d", "mounts.d", "environ.d" };

        for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
                auto_free char *source = path_join(directory, names[i]);
                auto_free char *path = path_join(inside, names[i]);

                if (!source || !path)
                        return error_no_memory(err);
                if (bundle_add_tree(bundle, source, path, err) < 0)
                        return -1;
        }
        return 0;
}

static bool has_suffix(const char *text, const char *suffix)
{
        size_t length = strlen(text), end = strlen(suffix);

        return length >= end && strcmp(text + length - end, suffix) == 0;
}

/* The settings of files and environment, but for the places, which are other ones elsewhere. */
static int add_settings(const struct config *config, struct bundle *bundle, struct error *err)
{
        for (size_t i = 0; i < config->setting_count; i++) {
                const struct config_setting *setting = &config->settings[i];

                if (setting->origin == CONFIG_DEFAULT ||
                    strncmp(setting->name, "ENROOT_", 7) != 0 || has_suffix(setting->name, "_PATH"))
                        continue;
                if (env_set(&bundle->settings, setting->name, setting->value) < 0)
                        return error_no_memory(err);
        }
        return 0;
}

/* What hooks source; without it they can do without, too. */
static int add_library(const struct config *config, struct bundle *bundle, struct error *err)
{
        auto_free char *path = path_join(config->library_path, BUNDLE_LIBRARY);
        auto_strbuf struct strbuf text = STRBUF_INIT;

        if (!path)
                return error_no_memory(err);
        if (io_read_file(AT_FDCWD, path, BUNDLE_RECORDS_LIMIT, &text, err) < 0)
                return err->code == ENOENT ? 0 : -1;
        if (bundle_add_file(bundle, "lib/" BUNDLE_LIBRARY, false, strbuf_text(&text),
                            text.length) < 0)
                return error_no_memory(err);
        return 0;
}

static int add_files(const struct config *config, struct bundle *bundle, struct error *err)
{
        if (add_configuration(config->sysconf_path, BUNDLE_SYSTEM, bundle, err) < 0 ||
            add_library(config, bundle, err) < 0)
                return -1;
        if (!config->bundle_all)
                return 0;
        if (add_configuration(config->config_path, BUNDLE_USER, bundle, err) < 0)
                return -1;
        return add_settings(config, bundle, err);
}

/* ---- the file ---- */

/* Open the runtime for an architecture. A descriptor, or -1 with *err. */
static int open_runtime(const struct config *config, const char *architecture, struct error *err)
{
        auto_free char *path = NULL;
        unsigned char header[BUNDLE_ELF_SIZE];
        auto_close int fd = -1;
        ssize_t count = -1;
        uint64_t size = 0;
        struct stat st;

        if (asprintf(&path, "%s/" RUNTIME_NAME "%s", config->library_path, architecture) < 0) {
                path = NULL;
                return error_no_memory(err);
        }
        fd = open(path, O_RDONLY | O_CLOEXEC);
        if (fd < 0 && errno == ENOENT)
                return error_set(err, ENOENT,
                                 "no runtime for linux/%s: %s does not exist (a build of enroot on "
                                 "that architecture has it; ENROOT_LIBRARY_PATH is where it is "
                                 "looked for)",
                                 architecture, path);
        if (fd >= 0 && fstat(fd, &st) == 0)
                count = io_read_full(fd, header, sizeof(header));
        if (count < 0)
                return error_errno(err, "%s", path);
        if (bundle_runtime_size(header, (size_t)count, &size, err) < 0)
                return error_prefix(err, "%s", path);
        if (size != (uint64_t)st.st_size)
                return error_set(err, EBADMSG, "%s: is no runtime of bundles; install it again",
                                 path);
        return TAKE_FD(fd);
}

static char *output_path(const struct bundle_arguments *arguments)
{
        auto_free char *name = NULL;
        char *path;

        if (arguments->output)
                return strdup(arguments->output);
        name = base_name(arguments->image, ".sqsh");
        return !name || asprintf(&path, "%s.run", name) < 0 ? NULL : path;
}

int command_bundle(const struct command_context *context, const struct bundle_arguments *arguments,
                   struct error *err)
{
        const struct config *config = context->config;
        auto_image_output struct image_output output = IMAGE_OUTPUT_INIT;
        auto_bundle struct bundle bundle = BUNDLE_INIT;
        auto_close int image_fd = -1, runtime_fd = -1;
        auto_squashfs_image struct squashfs_image *image = NULL;

        output.mode = 0755;
        bundle.has_checksum = config->bundle_checksum;
        image_fd = container_open_image(arguments->image, &image, err);
        if (image_fd < 0 ||
            image_output_open(&output, output_path(arguments), config->force_override, err) < 0 ||
            describe(arguments, output.name, image_fd, image, &bundle, err) < 0 ||
            add_files(config, &bundle, err) < 0)
                return -1;
        runtime_fd = open_runtime(config, bundle.architecture, err);
        if (runtime_fd < 0)
                return error_prefix(err, "%s", arguments->image);
        report_info(context->report, "Generating bundle...");
        if (bundle_write(output.file.fd, runtime_fd, image_fd, &bundle, err) < 0)
                return error_prefix(err, "bundle %s to %s", arguments->image, output.path);
        if (image_output_publish(&output, err) < 0)
                return -1;
        report_info(context->report, "Created %s: %.1f MB", output.path,
                    (double)(bundle.image_offset + bundle.image_size) / 1e6);
        return 0;
}
