#include "commands/new_container.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>

#include "commands/container.h"
#include "util/path.h"

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

int new_container_begin_aside(const struct new_container *container, struct temp_dir *ret,
                              struct error *err)
{
        const char *data_path = container->config->data_path;
        auto_free char *unfinished = NULL;

        if (asprintf(&unfinished, UNFINISHED_PREFIX "%s", container->name) < 0) {
                unfinished = NULL;
                return error_no_memory(err);
        }
        for (int i = 0; i < UNFINISHED_TRIES; i++) {
                if (temp_dir_create(ret, container->data_fd, unfinished, 0700, err) < 0)
                        return error_prefix(err, "ENROOT_DATA_PATH %s", data_path);
                if (lock_unfinished(ret))
                        return 0;
                temp_dir_discard(ret);
        }
        return error_set(err, EAGAIN, "ENROOT_DATA_PATH %s: cannot lock a new directory",
                         data_path);
}

/* Remove what killed runs left. Failures do not matter: the next run tries again. */
static void remove_stale(const struct config *config, int data_fd)
{
        static const char prefix[] = "." UNFINISHED_PREFIX;
        auto_closedir DIR *dir = opendir(config->data_path);
        struct error ignored = ERROR_INIT;
        struct dirent *entry;

        while (dir && (entry = readdir(dir))) {
                auto_close int fd = -1;

                if (strncmp(entry->d_name, prefix, strlen(prefix)) != 0)
                        continue;
                fd = openat(data_fd, entry->d_name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
                if (fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) == 0)
                        (void)container_remove_tree(config, data_fd, entry->d_name, &ignored);
        }
}

int new_container_begin(struct new_container *container, const struct config *config,
                        const char *name, struct error *err)
{
        container->config = config;
        container->name = name;
        if (container_check_name(name, err) < 0)
                return -1;
        container->data_fd = container_open_data_path(config->data_path, err);
        if (container->data_fd < 0)
                return -1;
        if (!config->force_override &&
            faccessat(container->data_fd, name, F_OK, AT_SYMLINK_NOFOLLOW) == 0)
                return error_set(err, EEXIST,
                                 "container already exists: %s/%s (--force replaces it, --name "
                                 "gives another name)",
                                 config->data_path, name);
        remove_stale(config, container->data_fd);
        return new_container_begin_aside(container, &container->dir, err);
}

int new_container_publish(struct new_container *container, struct error *err)
{
        const struct config *config = container->config;

        if (temp_dir_publish(&container->dir, container->name, config->force_override, err) < 0)
                return error_prefix(err, "container %s/%s", config->data_path, container->name);
        temp_dir_discard(&container->dir);
        /* What it replaced may have files of subordinate ids, which that cannot remove. */
        if (config->force_override)
                remove_stale(config, container->data_fd);
        return 0;
}

void new_container_release(struct new_container *container)
{
        temp_dir_discard(&container->dir);
        if (container->data_fd >= 0)
                (void)close(TAKE_FD(container->data_fd));
}
