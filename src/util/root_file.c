#include "util/root_file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>

#include "util/cleanup.h"
#include "util/io.h"
#include "util/path.h"
#include "util/temp_file.h"

int root_file_read(int root_fd, const char *path, size_t limit, struct strbuf *content,
                   struct error *err)
{
        auto_close int fd = path_open_in_root(root_fd, path, O_RDONLY | O_NONBLOCK | O_NOCTTY, 0);
        struct stat st;

        if (fd < 0)
                return error_errno(err, "%s", path);
        if (fstat(fd, &st) < 0)
                return error_errno(err, "%s", path);
        if (!S_ISREG(st.st_mode))
                return error_set(err, EINVAL, "%s: not a regular file", path);
        return io_read_fd(fd, path, limit, content, err);
}

/* Replace the last component of path by the link's target. 0, or -1 with errno. */
static int follow(struct strbuf *path, const char *target)
{
        auto_free char *old = strbuf_take(path);
        char *end;

        if (!old) {
                errno = ENOMEM;
                return -1;
        }
        end = old + strlen(old);
        while (end > old && end[-1] == '/')
                end--;
        while (end > old && end[-1] != '/')
                end--;
        *end = '\0';
        if (*target != '/')
                strbuf_append(path, old);
        if (strbuf_append(path, target) < 0) {
                errno = ENOMEM;
                return -1;
        }
        return 0;
}

int root_file_open_parent(int root_fd, const char *path, bool create, char *name)
{
        auto_strbuf struct strbuf current = STRBUF_INIT;

        if (strbuf_append(&current, path) < 0) {
                errno = ENOMEM;
                return -1;
        }
        for (int links = 0; links <= PATH_MAX_LINKS; links++) {
                auto_close int parent =
                        path_open_parent(root_fd, strbuf_text(&current), create, name);
                char target[PATH_MAX];
                ssize_t length;

                if (parent < 0)
                        return -1;
                length = readlinkat(parent, name, target, sizeof(target) - 1);
                if (length < 0)
                        return errno == EINVAL || errno == ENOENT ? TAKE_FD(parent) : -1;
                target[length] = '\0';
                if (follow(&current, target) < 0)
                        return -1;
        }
        errno = ELOOP;
        return -1;
}

int root_file_replace(int root_fd, const char *path, const char *text, size_t length, mode_t mode,
                      struct error *err)
{
        auto_discard struct temp_file temp = TEMP_FILE_INIT;
        char name[NAME_MAX + 1];
        auto_close int parent = root_file_open_parent(root_fd, path, true, name);
        struct stat st;

        if (parent < 0)
                return error_errno(err, "%s", path);
        if (fstatat(parent, name, &st, AT_SYMLINK_NOFOLLOW) == 0)
                mode = st.st_mode & 0777;
        if (temp_file_create(&temp, parent, name, mode, err) < 0)
                return error_prefix(err, "%s", path);
        /* The umask is the user's and may hide the file from the programs inside. */
        if (fchmod(temp.fd, mode) < 0 || io_write_full(temp.fd, text, length) < 0)
                return error_errno(err, "%s: write", path);
        if (temp_file_publish(&temp, name, true, err) < 0)
                return error_prefix(err, "%s", path);
        return 0;
}
