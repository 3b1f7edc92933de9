#include "commands/place.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>

#include "commands/container.h"
#include "squashfs/squashfs.h"
#include "util/cleanup.h"
#include "util/io.h"
#include "util/path.h"

/* The text of a link in a directory, malloc'd; NULL with errno. */
static char *read_link(int dir_fd, const char *name)
{
        char text[PATH_MAX];
        ssize_t length = readlinkat(dir_fd, name, text, sizeof(text));

        return length < 0 ? NULL : strndup(text, (size_t)length);
}

char *place_lazy_target(int data_fd, const char *name)
{
        static const char prefix[] = "." LAZY_PREFIX;
        auto_free char *target = read_link(data_fd, name);

        if (!target || strncmp(target, prefix, strlen(prefix)) != 0 || strchr(target, '/'))
                return NULL;
        return TAKE_PTR(target);
}

void place_release(struct place *place)
{
        if (place->fd >= 0)
                (void)close(TAKE_FD(place->fd));
        free(TAKE_PTR(place->path));
        free(TAKE_PTR(place->layers));
        free(TAKE_PTR(place->image));
}

int place_missing(const char *name, const char *data_path, struct error *err)
{
        return error_set(err, ENOENT,
                         "no such container: %s (\"enroot list\" shows the containers in %s)", name,
                         data_path);
}

static int find_lazy(struct place *place, const char *data_path, const char *target,
                     struct error *err)
{
        place->lazy = true;
        place->layers = path_join(data_path, target);
        place->image = read_link(place->fd, LAZY_IMAGE);
        if (!place->image && errno != ENOMEM)
                return error_errno(err, "container %s: %s/" LAZY_IMAGE, place->path, target);
        return place->layers && place->image ? 0 : error_no_memory(err);
}

int place_find(struct place *ret, const struct config *config, const char *name, struct error *err)
{
        const char *data_path = config->data_path;
        auto_close int data_fd = open(data_path, O_PATH | O_DIRECTORY | O_CLOEXEC);
        auto_free char *target = NULL;

        if (container_check_name(name, err) < 0)
                return -1;
        if (data_fd < 0)
                return errno == ENOENT ? place_missing(name, data_path, err)
                                       : error_errno(err, "ENROOT_DATA_PATH %s", data_path);
        ret->path = path_join(data_path, name);
        if (!ret->path)
                return error_no_memory(err);
        target = place_lazy_target(data_fd, name);
        ret->fd = openat(data_fd, target ? target : name,
                         O_RDONLY | O_DIRECTORY | O_CLOEXEC | (target ? O_NOFOLLOW : 0));
        if (ret->fd < 0)
                return errno == ENOENT || errno == ENOTDIR
                               ? place_missing(name, data_path, err)
                               : error_errno(err, "container %s", ret->path);
        return target ? find_lazy(ret, data_path, target, err) : 0;
}

/* What to do about an image that is gone or another one. */
static int explain_image(const struct place *place, struct error *err)
{
        return error_append(err,
                            "; container %s was made with \"create --lazy\" and needs it: put it "
                            "back, or remove the container",
                            place->path);
}

int place_open_image(const struct place *place, struct error *err)
{
        auto_close int fd = open(place->image, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
        auto_strbuf struct strbuf wanted = STRBUF_INIT;
        char identity[SQUASHFS_IDENTITY_SIZE];

        if (fd < 0) {
                error_errno(err, "image file %s", place->image);
                return explain_image(place, err);
        }
        if (io_read_file(place->fd, LAZY_IDENTITY, SQUASHFS_IDENTITY_SIZE, &wanted, err) < 0)
                return error_prefix(err, "container %s", place->path);
        if (squashfs_identity(fd, identity, err) < 0)
                return error_prefix(err, "image file %s", place->image);
        if (strcmp(identity, strbuf_text(&wanted)) != 0) {
                error_set(err, ESTALE, "image file %s is not the one that it was", place->image);
                return explain_image(place, err);
        }
        return TAKE_FD(fd);
}

int place_read_record(const struct place *place, struct image_record *ret, struct error *err)
{
        auto_close int image_fd = -1;
        int found;

        if (place->lazy) {
                image_fd = place_open_image(place, err);
                return image_fd < 0 ? -1 : record_read_image(image_fd, place->image, ret, err);
        }
        found = record_read_container(place->fd, ret, err);
        return found < 0 ? error_prefix(err, "container %s", place->path) : found;
}

int place_remove(const struct config *config, int data_fd, const char *name, struct error *err)
{
        auto_free char *target = place_lazy_target(data_fd, name);

        /* Without its name, what is left of the rest is removed by the next create. */
        if (target && unlinkat(data_fd, name, 0) < 0)
                return error_errno(err, "remove %s", name);
        return container_remove_tree(config, data_fd, target ? target : name, err);
}

bool place_is_used(const char *data_path, int data_fd, const char *hidden)
{
        auto_closedir DIR *dir = opendir(data_path);
        const struct dirent *entry;

        while (dir && (entry = readdir(dir))) {
                auto_free char *target = NULL;

                if (*entry->d_name != '.')
                        target = place_lazy_target(data_fd, entry->d_name);
                if (target && strcmp(target, hidden) == 0)
                        return true;
        }
        return !dir;
}

int place_is_image(const char *target, struct error *err)
{
        auto_close int fd = -1;
        struct stat st;
        int image;

        if (stat(target, &st) < 0)
                return strchr(target, '/') ? error_errno(err, "image file %s", target) : 0;
        if (!S_ISREG(st.st_mode))
                return 0;
        fd = open(target, O_RDONLY | O_CLOEXEC);
        if (fd < 0)
                return error_errno(err, "%s", target);
        image = squashfs_probe(fd, err);
        if (image < 0)
                return error_prefix(err, "%s", target);
        /* A file that happens to have a container's name does not hide the container. */
        if (!image && strchr(target, '/'))
                return error_set(err, EINVAL, "%s is not a squashfs image", target);
        return image;
}
