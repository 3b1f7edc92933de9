#include "util/temp_dir.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "util/cleanup.h"
#include "util/path.h"
#include "util/temp_file.h"

int temp_dir_create(struct temp_dir *dir, int parent_fd, const char *name, mode_t mode,
                    struct error *err)
{
        *dir = (struct temp_dir){ .fd = -1, .parent_fd = parent_fd };
        for (int i = 0; i < TEMP_NAME_TRIES && !dir->name; i++) {
                auto_free char *candidate = temp_file_random_name(name);

                if (!candidate)
                        return error_no_memory(err);
                if (mkdirat(parent_fd, candidate, mode) == 0)
                        dir->name = TAKE_PTR(candidate);
                else if (errno != EEXIST)
                        break;
        }
        if (!dir->name)
                return error_errno(err, "cannot create the directory");
        dir->fd = openat(parent_fd, dir->name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (dir->fd < 0)
                return error_errno(err, "cannot open the new directory");
        return 0;
}

/* On a file system without flags for rename, as NFS is. Returns 0, or -1 with errno. */
static int publish_plainly(struct temp_dir *dir, const char *name, bool replace)
{
        struct error ignored = ERROR_INIT;

        /*
         * A plain rename replaces at most an empty directory. The look before leaves a
         * moment in which that can be another process's.
         */
        if (replace) {
                (void)path_remove_tree(dir->parent_fd, name, &ignored);
        } else if (faccessat(dir->parent_fd, name, F_OK, AT_SYMLINK_NOFOLLOW) == 0) {
                errno = EEXIST;
                return -1;
        }
        return renameat(dir->parent_fd, dir->name, dir->parent_fd, name);
}

int temp_dir_publish(struct temp_dir *dir, const char *name, bool replace, struct error *err)
{
        int result = renameat2(dir->parent_fd, dir->name, dir->parent_fd, name, RENAME_NOREPLACE);

        /* After an exchange the old directory has the temporary name, and is discarded. */
        if (result < 0 && errno == EEXIST && replace &&
            renameat2(dir->parent_fd, dir->name, dir->parent_fd, name, RENAME_EXCHANGE) == 0)
                return 0;
        if (result < 0 && errno == EINVAL)
                result = publish_plainly(dir, name, replace);
        if (result < 0) {
                if (errno == ENOTEMPTY)
                        errno = EEXIST;
                return error_errno(err, "cannot create the directory");
        }
        free(TAKE_PTR(dir->name));
        return 0;
}

void temp_dir_discard(struct temp_dir *dir)
{
        struct error ignored = ERROR_INIT;

        if (dir->name)
                (void)path_remove_tree(dir->parent_fd, dir->name, &ignored);
        free(TAKE_PTR(dir->name));
        if (dir->fd >= 0)
                (void)close(TAKE_FD(dir->fd));
}
