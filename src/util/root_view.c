#include "util/root_view.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>

#include "util/cleanup.h"
#include "util/path.h"
#include "util/root_file.h"

static int directory_read(const struct root_view *view, const char *path, size_t limit,
                          struct strbuf *content, struct error *err)
{
        return root_file_read(view->fd, path, limit, content, err);
}

static int directory_mode(const struct root_view *view, const char *path, mode_t *ret)
{
        auto_close int fd = path_open_in_root(view->fd, path, O_PATH, 0);
        struct stat st;

        if (fd < 0 || fstat(fd, &st) < 0)
                return -1;
        *ret = st.st_mode;
        return 0;
}

static char *directory_readlink(const struct root_view *view, const char *path)
{
        char name[NAME_MAX + 1], target[PATH_MAX];
        auto_close int parent = path_open_parent(view->fd, path, false, name);
        ssize_t length = parent < 0 ? -1 : readlinkat(parent, name, target, sizeof(target) - 1);

        if (length < 0)
                return NULL;
        target[length] = '\0';
        return strdup(target);
}

struct root_view root_view_directory(int root_fd)
{
        return (struct root_view){
                .read = directory_read,
                .mode = directory_mode,
                .readlink = directory_readlink,
                .fd = root_fd,
        };
}

bool root_view_exists(const struct root_view *view, const char *path)
{
        mode_t mode;

        return view->mode(view, path, &mode) == 0;
}

bool root_view_is_executable(const struct root_view *view, const char *path)
{
        mode_t mode;

        return path && *path == '/' && view->mode(view, path, &mode) == 0 && S_ISREG(mode) &&
               mode & 0111;
}
