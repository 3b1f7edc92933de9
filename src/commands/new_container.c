#include "commands/new_container.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>

#include "commands/container.h"
#include "commands/place.h"
#include "util/temp_file.h"

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

static int begin_directory(const struct new_container *container, const char *prefix,
                           struct temp_dir *ret, struct error *err)
{
        const char *data_path = container->config->data_path;
        auto_free char *unfinished = NULL;

        if (asprintf(&unfinished, "%s%s", prefix, container->name) < 0) {
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

int new_container_begin_aside(const struct new_container *container, struct temp_dir *ret,
                              struct error *err)
{
        return begin_directory(container, UNFINISHED_PREFIX, ret, err);
}

/*
 * Whether something is left of a killed run. A directory without a lock is nobody's; one
 * of a lazy container has its link before the lock is given up, and none in use is without.
 */
static bool is_stale(const struct config *config, int data_fd, const char *name)
{
        static const char unfinished[] = "." UNFINISHED_PREFIX, lazy[] = "." LAZY_PREFIX;
        bool is_lazy = strncmp(name, lazy, strlen(lazy)) == 0;
        auto_close int fd = -1;

        if (!is_lazy && strncmp(name, unfinished, strlen(unfinished)) != 0)
                return false;
        fd = openat(data_fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (fd < 0)
                return errno == ENOENT; /* a link to what is gone */
        return flock(fd, LOCK_EX | LOCK_NB) == 0 &&
               !(is_lazy && place_is_used(config->data_path, data_fd, name));
}

/* Remove what killed runs left. Failures do not matter: the next run tries again. */
static void remove_stale(const struct config *config, int data_fd)
{
        auto_closedir DIR *dir = opendir(config->data_path);
        struct error ignored = ERROR_INIT;
        struct dirent *entry;

        while (dir && (entry = readdir(dir)))
                if (is_stale(config, data_fd, entry->d_name))
                        (void)container_remove_tree(config, data_fd, entry->d_name, &ignored);
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
        return begin_directory(container, container->lazy ? LAZY_PREFIX : UNFINISHED_PREFIX,
                               &container->dir, err);
}

/* Make a link to the directory under a temporary name, which is malloc'd. NULL with errno. */
static char *make_link(const struct new_container *container)
{
        auto_free char *unfinished = NULL;

        if (asprintf(&unfinished, UNFINISHED_PREFIX "%s", container->name) < 0)
                unfinished = NULL;
        for (int i = 0; unfinished && i < UNFINISHED_TRIES; i++) {
                char *link = temp_file_random_name(unfinished);

                if (!link || symlinkat(container->dir.name, container->data_fd, link) == 0)
                        return link;
                free(link);
                if (errno != EEXIST)
                        break;
        }
        return NULL;
}

/* Rename the link to the container's name. Returns 0, or -1 with errno. */
static int rename_link(const struct new_container *container, const char *link)
{
        const char *name = container->name;
        struct error ignored = ERROR_INIT;
        int data_fd = container->data_fd;

        if (renameat2(data_fd, link, data_fd, name, RENAME_NOREPLACE) == 0)
                return 0;
        if (errno == EEXIST && container->config->force_override &&
            renameat2(data_fd, link, data_fd, name, RENAME_EXCHANGE) == 0) {
                (void)place_remove(container->config, data_fd, link, &ignored);
                return 0;
        }
        /* On a file system without flags for rename, as NFS is. */
        if (errno == EINVAL && container->config->force_override)
                (void)place_remove(container->config, data_fd, name, &ignored);
        else if (errno != EINVAL)
                return -1;
        return linkat(data_fd, link, data_fd, name, 0) < 0 ? -1 : unlinkat(data_fd, link, 0);
}

static int publish_lazy(struct new_container *container, struct error *err)
{
        auto_free char *link = make_link(container);

        if (!link)
                return error_errno(err, "cannot make a link");
        if (rename_link(container, link) < 0) {
                error_errno(err, "cannot create it");
                (void)unlinkat(container->data_fd, link, 0);
                return -1;
        }
        free(TAKE_PTR(container->dir.name)); /* it is the link's now */
        return 0;
}

int new_container_publish(struct new_container *container, struct error *err)
{
        const struct config *config = container->config;

        if ((container->lazy ? publish_lazy(container, err)
                             : temp_dir_publish(&container->dir, container->name,
                                                config->force_override, err)) < 0)
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
