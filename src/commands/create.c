/*
 * create: an image file becomes a container directory.
 *
 * The tree is extracted into ".NAME.XXXXXX" beside its final name, under a lock,
 * and renamed when it is complete. A create that was killed leaves such a directory
 * without a lock, which the next create removes.
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

#define UNFINISHED_SUFFIX ".enroot-create-"

/* A directory that vanishes unless it is given its final name. */
struct unfinished {
        int data_fd; /* borrowed */
        int fd;      /* locked while the directory is in use */
        char *name;  /* NULL once renamed */
};

static void unfinished_discard(struct unfinished *dir)
{
        struct error ignored = ERROR_INIT;

        if (dir->name)
                (void)path_remove_tree(dir->data_fd, dir->name, &ignored);
        if (dir->fd >= 0)
                (void)close(dir->fd);
        free(dir->name);
}

static int unfinished_create(struct unfinished *dir, const char *data_path, const char *name,
                             struct error *err)
{
        auto_free char *path = NULL;

        if (asprintf(&path, "%s/.%.200s" UNFINISHED_SUFFIX "XXXXXX", data_path, name) < 0) {
                path = NULL;
                return error_no_memory(err);
        }
        if (!mkdtemp(path))
                return error_errno(err, "cannot create a directory in ENROOT_DATA_PATH %s",
                                   data_path);
        dir->name = strdup(strrchr(path, '/') + 1);
        if (!dir->name) {
                (void)rmdir(path);
                return error_no_memory(err);
        }
        dir->fd = openat(dir->data_fd, dir->name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (dir->fd < 0)
                return error_errno(err, "%s", path);
        /* Without locks on this file system nobody can tell it is stale, and nobody removes it. */
        (void)flock(dir->fd, LOCK_EX | LOCK_NB);
        return 0;
}

/* Remove what killed runs left. Failures do not matter: the next run tries again. */
static void remove_stale(const char *data_path, int data_fd)
{
        auto_closedir DIR *dir = opendir(data_path);
        struct error ignored = ERROR_INIT;
        struct dirent *entry;

        while (dir && (entry = readdir(dir))) {
                auto_close int fd = -1;

                if (entry->d_name[0] != '.' || !strstr(entry->d_name, UNFINISHED_SUFFIX))
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

/* Give the directory its final name, in place of an existing one when that was asked for. */
static int publish(struct unfinished *dir, const char *name, bool replace, struct error *err)
{
        unsigned int flags = RENAME_NOREPLACE;

        if (renameat2(dir->data_fd, dir->name, dir->data_fd, name, flags) == 0) {
                free(TAKE_PTR(dir->name));
                return 0;
        }
        if (errno == EEXIST && replace) {
                /* After the exchange the old tree has the unfinished name, and is discarded. */
                if (renameat2(dir->data_fd, dir->name, dir->data_fd, name, RENAME_EXCHANGE) == 0)
                        return 0;
        } else if (errno == EINVAL) {
                /* NFS has no flags; a plain rename replaces at most an empty directory. */
                if (replace && path_remove_tree(dir->data_fd, name, err) < 0)
                        return -1;
                if (renameat(dir->data_fd, dir->name, dir->data_fd, name) == 0) {
                        free(TAKE_PTR(dir->name));
                        return 0;
                }
        }
        return error_errno(err, "cannot create the container %s", name);
}

int command_create(const struct command_context *context, const struct create_arguments *arguments,
                   struct error *err)
{
        const struct config *config = context->config;
        auto_free char *name = container_name(arguments);
        auto_close int image_fd = -1, data_fd = -1;
        auto_squashfs_image struct squashfs_image *image = NULL;
        auto_cleanup(unfinished_discard) struct unfinished dir = { .data_fd = -1, .fd = -1 };

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
        dir.data_fd = data_fd;
        if (unfinished_create(&dir, config->data_path, name, err) < 0)
                return -1;
        if (unpack_image(image, dir.fd, config->max_processors, context->report, err) < 0)
                return error_prefix(err, "extract %s to %s/%s", arguments->image,
                                    config->data_path, name);
        return publish(&dir, name, config->force_override, err);
}
