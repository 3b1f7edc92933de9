/*
 * create: an image file becomes a container directory.
 *
 * The tree is extracted under a temporary name beside its final one, under a lock, and
 * renamed when it is complete. A create that was killed leaves such a directory without
 * a lock, which the next create removes.
 */
#include "commands/commands.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>

#include "commands/container.h"
#include "squashfs/squashfs.h"
#include "unpack/unpack.h"
#include "util/path.h"
#include "util/temp_dir.h"

#define UNFINISHED_PREFIX "enroot-create."
#define UNFINISHED_TRIES  16

/*
 * Lock the new directory. Returns false when another create was between: it takes a
 * directory without a lock for stale, and is removing it or has done so.
 */
static bool lock_unfinished(const struct temp_dir *dir)
{
        struct stat st;

        /* Without locks on this file system nobody can tell it is stale, and nobody removes it. */
        if (flock(dir->fd, LOCK_EX | LOCK_NB) < 0 && errno == EWOULDBLOCK)
                return false;
        return fstat(dir->fd, &st) == 0 && st.st_nlink > 0;
}

static int create_unfinished(struct temp_dir *dir, int data_fd, const char *data_path,
                             const char *name, struct error *err)
{
        auto_free char *unfinished = NULL;

        if (asprintf(&unfinished, UNFINISHED_PREFIX "%s", name) < 0) {
                unfinished = NULL;
                return error_no_memory(err);
        }
        for (int i = 0; i < UNFINISHED_TRIES; i++) {
                if (temp_dir_create(dir, data_fd, unfinished, 0700, err) < 0)
                        return error_prefix(err, "ENROOT_DATA_PATH %s", data_path);
                if (lock_unfinished(dir))
                        return 0;
                temp_dir_discard(dir);
        }
        return error_set(err, EAGAIN, "ENROOT_DATA_PATH %s: cannot lock a new directory",
                         data_path);
}

/* Remove what killed runs left. Failures do not matter: the next run tries again. */
static void remove_stale(const char *data_path, int data_fd)
{
        static const char prefix[] = "." UNFINISHED_PREFIX;
        auto_closedir DIR *dir = opendir(data_path);
        struct error ignored = ERROR_INIT;
        struct dirent *entry;

        while (dir && (entry = readdir(dir))) {
                auto_close int fd = -1;

                if (strncmp(entry->d_name, prefix, strlen(prefix)) != 0)
                        continue;
                fd = openat(data_fd, entry->d_name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
                if (fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) == 0)
                        (void)path_remove_tree(data_fd, entry->d_name, &ignored);
        }
}

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
        auto_free char *name = container_name(arguments);
        auto_close int image_fd = -1, data_fd = -1;
        auto_squashfs_image struct squashfs_image *image = NULL;
        auto_temp_dir struct temp_dir dir = TEMP_DIR_INIT;

        if (!name)
                return error_no_memory(err);
        if (container_check_name(name, err) < 0)
                return -1;
        image_fd = open_image(arguments->image, &image, err);
        if (image_fd < 0)
                return -1;
        data_fd = container_open_data_path(config->data_path, err);
        if (data_fd < 0)
                return -1;
        if (!config->force_override && faccessat(data_fd, name, F_OK, AT_SYMLINK_NOFOLLOW) == 0)
                return error_set(err, EEXIST,
                                 "container already exists: %s/%s (--force replaces it, --name "
                                 "gives another name)",
                                 config->data_path, name);

        report_info(context->report, "Extracting squashfs filesystem...");
        remove_stale(config->data_path, data_fd);
        if (create_unfinished(&dir, data_fd, config->data_path, name, err) < 0)
                return -1;
        if (unpack_image(image, dir.fd, config->max_processors, context->report, err) < 0)
                return error_prefix(err, "extract %s to %s/%s", arguments->image,
                                    config->data_path, name);
        if (temp_dir_publish(&dir, name, config->force_override, err) < 0)
                return error_prefix(err, "container %s/%s", config->data_path, name);
        return 0;
}
