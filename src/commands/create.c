/*
 * create: an image file becomes a container, its directory or (lazy) a reference to the
 * image with a place for changes.
 */
#include "commands/commands.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "commands/container.h"
#include "commands/new_container.h"
#include "commands/place.h"
#include "squashfs/squashfs.h"
#include "unpack/unpack.h"
#include "util/io.h"

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

/* ---- lazy containers ---- */

static int write_identity(int dir_fd, int image_fd, struct error *err)
{
        char identity[SQUASHFS_IDENTITY_SIZE];
        auto_close int fd = -1;

        if (squashfs_identity(image_fd, identity, err) < 0)
                return -1;
        fd = openat(dir_fd, LAZY_IDENTITY, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
        if (fd < 0 || io_write_full(fd, identity, strlen(identity)) < 0)
                return error_errno(err, LAZY_IDENTITY);
        return 0;
}

/* The root of the container is that of the changes, so it starts as the image has it. */
static int make_upper(int dir_fd, struct squashfs_image *image, struct error *err)
{
        struct timespec times[2] = { { 0 } };
        struct squashfs_stat root;

        if (squashfs_stat(image, squashfs_root(image), &root, err) < 0)
                return -1;
        times[0].tv_sec = times[1].tv_sec = root.meta.mtime;
        if (mkdirat(dir_fd, LAZY_UPPER, 0700) < 0 ||
            fchmodat(dir_fd, LAZY_UPPER, root.meta.mode | 0700, 0) < 0 ||
            utimensat(dir_fd, LAZY_UPPER, times, 0) < 0)
                return error_errno(err, LAZY_UPPER);
        return 0;
}

static int refer(const char *path, int image_fd, struct squashfs_image *image, int dir_fd,
                 struct error *err)
{
        auto_free char *target = realpath(path, NULL);

        if (!target || symlinkat(target, dir_fd, LAZY_IMAGE) < 0)
                return error_errno(err, "%s", path);
        return write_identity(dir_fd, image_fd, err) < 0 ? -1 : make_upper(dir_fd, image, err);
}

/* ---- create ---- */

int command_create(const struct command_context *context, const struct create_arguments *arguments,
                   struct error *err)
{
        const struct config *config = context->config;
        const struct unpack_options options = container_unpack_options(context);
        auto_free char *name = container_name(arguments);
        auto_close int image_fd = -1;
        auto_squashfs_image struct squashfs_image *image = NULL;
        auto_new_container struct new_container container = NEW_CONTAINER_INIT;
        int status;

        container.lazy = arguments->lazy;
        if (!name)
                return error_no_memory(err);
        if (container_check_name(name, err) < 0)
                return -1;
        image_fd = container_open_image(arguments->image, &image, err);
        if (image_fd < 0 || new_container_begin(&container, config, name, err) < 0)
                return -1;
        if (arguments->lazy) {
                status = refer(arguments->image, image_fd, image, container.dir.fd, err);
        } else {
                report_info(context->report, "Extracting squashfs filesystem...");
                status = unpack_image(image, container.dir.fd, &options, err);
        }
        if (status < 0)
                return error_prefix(err, "%s %s to %s/%s", arguments->lazy ? "refer" : "extract",
                                    arguments->image, config->data_path, name);
        return new_container_publish(&container, err);
}
