#include "commands/container.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "runtime/runtime.h"
#include "util/path.h"

int container_check_name(const char *name, struct error *err)
{
        if (*name == '\0')
                return error_set(err, EINVAL, "the name of the container is empty");
        if (strchr(name, '/'))
                return error_set(err, EINVAL,
                                 "invalid container name: %s (a name cannot contain \"/\")", name);
        /* Names with a dot in front are those of unfinished containers, which list leaves out. */
        if (*name == '.')
                return error_set(err, EINVAL,
                                 "invalid container name: %s (a name cannot start with \".\")",
                                 name);
        if (strlen(name) > NAME_MAX)
                return error_set(err, ENAMETOOLONG, "invalid container name: %s (too long)", name);
        return 0;
}

int container_open_data_path(const char *data_path, struct error *err)
{
        int fd;

        if (path_make_private_dirs(data_path, 0700, err) < 0)
                return error_append(err, "; set ENROOT_DATA_PATH to a directory of yours");
        fd = open(data_path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (fd < 0)
                return error_errno(err, "ENROOT_DATA_PATH %s", data_path);
        return fd;
}

int container_open_image(const char *path, struct squashfs_image **ret, struct error *err)
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

int command_enter_subids(const struct command_context *context, struct error *err)
{
        if (!context->config->subids || (context->config->allow_superuser && geteuid() == 0))
                return 0;
        return runtime_enter_subids(context->config, err);
}

int container_names(const char *data_path, struct strlist *names, struct error *err)
{
        auto_closedir DIR *dir = opendir(data_path);
        struct dirent *entry;

        if (!dir)
                return errno == ENOENT ? 0 : error_errno(err, "ENROOT_DATA_PATH %s", data_path);
        while ((errno = 0, entry = readdir(dir))) {
                struct stat st;

                if (entry->d_name[0] == '.' || fstatat(dirfd(dir), entry->d_name, &st, 0) < 0 ||
                    !S_ISDIR(st.st_mode))
                        continue;
                if (strlist_append(names, entry->d_name) < 0)
                        return error_no_memory(err);
        }
        if (errno)
                return error_errno(err, "ENROOT_DATA_PATH %s", data_path);
        strlist_sort(names);
        return 0;
}

struct unpack_options container_unpack_options(const struct command_context *context)
{
        return (struct unpack_options){
                .threads = context->config->max_processors,
                .keep_owners = runtime_keeps_owners(context->config),
                .report = context->report,
        };
}

struct removal {
        int data_fd;
        const char *name;
};

static int remove_tree(void *context, struct error *err)
{
        const struct removal *removal = context;

        return path_remove_tree(removal->data_fd, removal->name, err);
}

int container_remove_tree(const struct config *config, int data_fd, const char *name,
                          struct error *err)
{
        struct removal removal = { .data_fd = data_fd, .name = name };
        struct error cause = ERROR_INIT;

        if (remove_tree(&removal, err) == 0)
                return 0;
        /* What the user may not remove himself can belong to his subordinate ids. */
        if (err->code != EACCES && err->code != EPERM)
                return -1;
        if (runtime_run_with_subids(config, remove_tree, &removal, &cause) == 0)
                return 0;
        return error_append(err, " (nor with subordinate ids: %s)", cause.message);
}
