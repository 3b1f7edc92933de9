/*
 * create: an image file becomes a container directory.
 */
#include "commands/commands.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "commands/container.h"
#include "commands/new_container.h"
#include "squashfs/squashfs.h"
#include "unpack/unpack.h"

/* The name of the container: the option's, or the file's name less ".sqsh". malloc'd, or NULL. */
static char *container_name(const struct create_arguments *arguments)
{
        const char *base = strrchr(arguments->image, '/');
        size_t length;

        if (arguments->name)
                return strdup(arguments->name);
        base = base ? base + 1 : arguments->image;
        length = strlen(base);
        if (length > 5 && strcmp(base + length - 5, ".sqsh") == 0)
                length -= 5;
        return strndup(base, length);
}

static int open_image(const char *path, struct squashfs_image **ret, struct error *err)
{
        struct stat st;
        int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);

        if (fd < 0)
                return error_errno(err, "%s", path);
        if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode)) {
                (void)close(fd);
                return error_set(err, EINVAL, "%s is not an image file", path);
        }
        *ret = squashfs_open(fd, path, err);
        if (!*ret) {
                (void)close(fd);
                return -1;
        }
        return fd;
}

int command_create(const struct command_context *context, const struct create_arguments *arguments,
                   struct error *err)
{
        const struct config *config = context->config;
        const struct unpack_options options = container_unpack_options(context);
        auto_free char *name = container_name(arguments);
        auto_close int image_fd = -1;
        auto_squashfs_image struct squashfs_image *image = NULL;
        auto_new_container struct new_container container = NEW_CONTAINER_INIT;

        if (!name)
                return error_no_memory(err);
        if (container_check_name(name, err) < 0)
                return -1;
        image_fd = open_image(arguments->image, &image, err);
        if (image_fd < 0 || new_container_begin(&container, config, name, err) < 0)
                return -1;
        report_info(context->report, "Extracting squashfs filesystem...");
        if (unpack_image(image, container.dir.fd, &options, err) < 0)
                return error_prefix(err, "extract %s to %s/%s", arguments->image,
                                    config->data_path, name);
        return new_container_publish(&container, err);
}
