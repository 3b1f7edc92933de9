#include "util/path.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "util/cleanup.h"

/*
 * The walk for what openat2 cannot do: make missing directories on the way, or
 * run on a kernel before 5.6.
 *
 * dir   descriptor of the directory reached so far
 * rest  what is still to be resolved
 *
 * ".." is resolved by keeping the path from the root as text and walking again,
 * because opening ".." of a directory that is being moved could lead out.
 */
struct walk {
        int root_fd;
        int dir;
        struct strbuf done; /* from the root to dir, "" or "/a/b" */
        struct strbuf rest;
        unsigned int links;
};

static void walk_release(struct walk *walk)
{
        if (walk->dir >= 0)
                (void)close(walk->dir);
        strbuf_release(&walk->done);
        strbuf_release(&walk->rest);
}

static int walk_restart(struct walk *walk)
{
        int dir = openat(walk->root_fd, ".", O_PATH | O_DIRECTORY | O_CLOEXEC);

        if (dir < 0)
                return -1;
        if (walk->dir >= 0)
                (void)close(walk->dir);
        walk->dir = dir;
        strbuf_reset(&walk->done);
        return 0;
}

/* Put text in front of what is still to be resolved. */
static int walk_push(struct walk *walk, const char *text)
{
        auto_strbuf struct strbuf rest = STRBUF_INIT;

        strbuf_append(&rest, text);
        strbuf_append_char(&rest, '/');
        strbuf_append(&rest, strbuf_text(&walk->rest));
        if (rest.failed) {
                errno = ENOMEM;
                return -1;
        }
        if (rest.length > 2 * PATH_MAX) {
                errno = ENAMETOOLONG;
                return -1;
        }
        strbuf_release(&walk->rest);
        walk->rest = rest;
        rest = (struct strbuf)STRBUF_INIT;
        return 0;
}

/* Go back to the parent of the directory reached: from the root again, by name. */
static int walk_up(struct walk *walk)
{
        auto_strbuf struct strbuf done = walk->done;
        char *last = done.data ? strrchr(done.data, '/') : NULL;

        walk->done = (struct strbuf)STRBUF_INIT;
        if (last)
                *last = '\0';
        if (walk_restart(walk) < 0)
                return -1;
        return done.data && *done.data ? walk_push(walk, done.data) : 0;
}

static int walk_enter(struct walk *walk, const char *name)
{
        int dir = openat(walk->dir, name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

        if (dir < 0)
                return -1;
        (void)close(walk->dir);
        walk->dir = dir;
        strbuf_append_char(&walk->done, '/');
        strbuf_append(&walk->done, name);
        if (walk->done.failed) {
                errno = ENOMEM;
                return -1;
        }
        return 0;
}

/* Cut the next component off the rest into name. Returns false when nothing is left. */
static bool walk_next(struct walk *walk, char name[NAME_MAX + 1], bool *ret_last,
                      bool *ret_too_long)
{
        char *text = walk->rest.data;
        size_t skip, length, tail;

        *ret_too_long = false;
        if (!text)
                return false;
        skip = strspn(text, "/");
        length = strcspn(text + skip, "/");
        if (length == 0)
                return false;
        if (length > NAME_MAX) {
                *ret_too_long = true;
                return true;
        }
        memcpy(name, text + skip, length);
        name[length] = '\0';
        tail = strspn(text + skip + length, "/");
        *ret_last = text[skip + length + tail] == '\0';
        memmove(text, text + skip + length, strlen(text + skip + length) + 1);
        walk->rest.length = strlen(text);
        return true;
}

/*
 * Follow name when it is a link. Returns 1 when it was one (pushed back onto the
 * rest), 0 when it is something else or missing, -1 with errno.
 */
static int walk_follow(struct walk *walk, const char *name)
{
        char target[PATH_MAX];
        ssize_t length = readlinkat(walk->dir, name, target, sizeof(target) - 1);

        if (length < 0)
                return errno == EINVAL || errno == ENOENT ? 0 : -1;
        if (++walk->links > PATH_MAX_LINKS) {
                errno = ELOOP;
                return -1;
        }
        target[length] = '\0';
        if (target[0] == '/' && walk_restart(walk) < 0)
                return -1;
        return walk_push(walk, target) < 0 ? -1 : 1;
}

/*
 * Resolve everything but, when keep_last is set, the last component, which is
 * copied to name ("." when there is none). Missing directories are made with
 * make_mode unless it is 0.
 */
static int walk_run(struct walk *walk, bool keep_last, mode_t make_mode, char *ret_name)
{
        char name[NAME_MAX + 1];
        bool last = false, too_long = false;

        if (ret_name)
                strcpy(ret_name, ".");
        if (walk_restart(walk) < 0)
                return -1;
        while (walk_next(walk, name, &last, &too_long)) {
                int followed;

                if (too_long) {
                        errno = ENAMETOOLONG;
                        return -1;
                }
                if (strcmp(name, ".") == 0)
                        continue;
                if (strcmp(name, "..") == 0) {
                        if (walk_up(walk) < 0)
                                return -1;
                        continue;
                }
                if (last && keep_last) {
                        strcpy(ret_name, name);
                        return 0;
                }
                /*
                 * Nearly every name is a directory. mkdir(2) comes last: on FUSE it asks the
                 * server even for a name that the kernel knows.
                 */
                if (walk_enter(walk, name) == 0)
                        continue;
                followed = walk_follow(walk, name);
                if (followed < 0)
                        return -1;
                if (followed)
                        continue;
                if (make_mode && mkdirat(walk->dir, name, make_mode) < 0 && errno != EEXIST)
                        return -1;
                if (walk_enter(walk, name) < 0)
                        return -1;
        }
        return 0;
}

static int walk_init(struct walk *walk, int root_fd, const char *path)
{
        *walk = (struct walk){ .root_fd = root_fd, .dir = -1 };
        if (strbuf_append(&walk->rest, path) < 0) {
                errno = ENOMEM;
                return -1;
        }
        return 0;
}

static int open_by_walk(int root_fd, const char *path, int flags, mode_t mode)
{
        auto_cleanup(walk_release) struct walk walk = { .dir = -1 };
        char name[NAME_MAX + 1];

        if (walk_init(&walk, root_fd, path) < 0)
                return -1;
        for (;;) {
                int followed;

                if (walk_run(&walk, true, 0, name) < 0)
                        return -1;
                if (flags & O_NOFOLLOW || strcmp(name, ".") == 0)
                        break;
                followed = walk_follow(&walk, name);
                if (followed < 0)
                        return -1;
                if (!followed)
                        break;
                /* The link's target goes on from where the walk stands: make it a path again. */
                if (walk.done.length > 0) {
                        auto_free char *done = strdup(walk.done.data);

                        if (!done || walk_push(&walk, done) < 0)
                                return -1;
                }
        }
        return openat(walk.dir, name, flags | O_NOFOLLOW | O_CLOEXEC, mode);
}

int path_open_in_root(int root_fd, const char *path, int flags, mode_t mode)
{
        struct open_how how = {
                .flags = (unsigned int)flags | O_CLOEXEC,
                .mode = flags & O_CREAT ? mode : 0,
                .resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS,
        };
        int fd;

        /* EAGAIN: something was renamed during the resolution; the man page says to try again. */
        for (int i = 0; i < 32; i++) {
                fd = (int)syscall(SYS_openat2, root_fd, *path ? path : ".", &how, sizeof(how));
                if (fd >= 0 || errno != EAGAIN)
                        break;
        }
        if (fd < 0 && (errno == ENOSYS || errno == EPERM || errno == EAGAIN))
                return open_by_walk(root_fd, path, flags, mode);
        return fd;
}

int path_make_dirs(int root_fd, const char *path, mode_t mode)
{
        auto_cleanup(walk_release) struct walk walk = { .dir = -1 };

        if (walk_init(&walk, root_fd, path) < 0 || walk_run(&walk, false, mode, NULL) < 0)
                return -1;
        return TAKE_FD(walk.dir);
}

int path_open_parent(int root_fd, const char *path, bool create, char *name)
{
        auto_cleanup(walk_release) struct walk walk = { .dir = -1 };

        if (walk_init(&walk, root_fd, path) < 0 ||
            walk_run(&walk, true, create ? 0755 : 0, name) < 0)
                return -1;
        return TAKE_FD(walk.dir);
}

int path_normalize(const char *path, struct strbuf *result)
{
        strbuf_reset(result);
        while (*path) {
                size_t length = strcspn(path, "/");

                if (length > NAME_MAX)
                        return -1;
                if (length == 2 && memcmp(path, "..", 2) == 0) {
                        char *last = result->data ? strrchr(result->data, '/') : NULL;

                        result->length = last ? (size_t)(last - result->data) : 0;
                        if (result->data)
                                result->data[result->length] = '\0';
                } else if (length > 0 && !(length == 1 && *path == '.')) {
                        if (result->length > 0)
                                strbuf_append_char(result, '/');
                        strbuf_append_mem(result, path, length);
                }
                path += length;
                path += strspn(path, "/");
        }
        return result->failed ? -1 : 0;
}

char *path_absolute(const char *path, struct error *err)
{
        auto_free char *cwd = NULL;
        char *absolute;

        if (path[0] == '/') {
                absolute = strdup(path);
        } else {
                cwd = getcwd(NULL, 0);
                if (!cwd) {
                        error_errno(err, "current directory");
                        return NULL;
                }
                absolute = path_join(strcmp(cwd, "/") == 0 ? "" : cwd, path);
        }
        if (!absolute)
                error_no_memory(err);
        return absolute;
}

char *path_join(const char *dir, const char *name)
{
        char *joined = NULL;

        return asprintf(&joined, "%s/%s", dir, name) < 0 ? NULL : joined;
}

static int remove_children(DIR *dir, dev_t device, const char *name, struct error *err);

static int remove_entry(int dir_fd, const char *name, dev_t device, struct error *err)
{
        struct stat st;

        if (unlinkat(dir_fd, name, 0) == 0 || errno == ENOENT)
                return 0;
        if (errno != EISDIR && errno != EPERM && errno != EACCES)
                return error_errno(err, "remove %s", name);
        if (fstatat(dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
                return error_errno(err, "remove %s", name);
        if (S_ISDIR(st.st_mode)) {
                auto_closedir DIR *dir = NULL;
                auto_close int fd = -1;

                if (st.st_dev != device)
                        return error_set(err, EXDEV, "%s is on another file system, not removed",
                                         name);
                if ((st.st_mode & 0700) != 0700)
                        (void)fchmodat(dir_fd, name, st.st_mode | 0700, 0);
                fd = openat(dir_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
                if (fd < 0 || !(dir = fdopendir(fd)))
                        return error_errno(err, "remove %s", name);
                fd = -1; /* belongs to dir */
                if (remove_children(dir, device, name, err) < 0)
                        return error_prefix(err, "%s", name);
                if (unlinkat(dir_fd, name, AT_REMOVEDIR) == 0)
                        return 0;
        } else {
                (void)unlinkat(dir_fd, name, 0);
                if (faccessat(dir_fd, name, F_OK, AT_SYMLINK_NOFOLLOW) < 0 && errno == ENOENT)
                        return 0;
                errno = EACCES;
        }
        return error_errno(err, "remove %s", name);
}

static int remove_children(DIR *dir, dev_t device, const char *name, struct error *err)
{
        for (;;) {
                struct dirent *child;

                errno = 0;
                child = readdir(dir);
                if (!child)
                        return errno ? error_errno(err, "remove %s", name) : 0;
                if (strcmp(child->d_name, ".") == 0 || strcmp(child->d_name, "..") == 0)
                        continue;
                if (remove_entry(dirfd(dir), child->d_name, device, err) < 0)
                        return -1;
        }
}

int path_remove_tree(int dir_fd, const char *name, struct error *err)
{
        struct stat st;

        if (fstatat(dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
                return errno == ENOENT ? 0 : error_errno(err, "remove %s", name);
        return remove_entry(dir_fd, name, st.st_dev, err);
}

int path_make_private_dirs(const char *path, mode_t mode, struct error *err)
{
        auto_free char *copy = strdup(path);

        if (!copy)
                return error_no_memory(err);
        for (char *slash = copy + 1;; slash++) {
                bool end = *slash == '\0';

                if (*slash != '/' && !end)
                        continue;
                *slash = '\0';
                if (mkdir(copy, mode) < 0 && errno != EEXIST) {
                        int code = errno;
                        struct stat st;

                        /* An existing directory on a read-only or automounted parent. */
                        if (stat(copy, &st) < 0 || !S_ISDIR(st.st_mode)) {
                                errno = code;
                                return error_errno(err, "cannot create the directory %s", copy);
                        }
                }
                if (end)
                        return 0;
                *slash = '/';
        }
}

char *path_find_program(const char *program, const char *list)
{
        while (*list) {
                size_t length = strcspn(list, ":");
                auto_free char *dir = strndup(list, length);
                auto_free char *path = dir ? path_join(dir, program) : NULL;

                if (!path)
                        return NULL;
                /* Relative entries of PATH depend on the current directory: not for this. */
                if (*path == '/' && access(path, X_OK) == 0)
                        return TAKE_PTR(path);
                list += length + (list[length] == ':');
        }
        errno = ENOENT;
        return NULL;
}
