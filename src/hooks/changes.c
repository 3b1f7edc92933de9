/*
 * Several starts of one container may change it at the same time, on one machine or on
 * many, while others have mounts on its files. A rename over a file on which another
 * mount namespace has a mount takes that mount away (rename(2) since Linux 3.18), so a
 * file is replaced only while it holds what it held when the change was planned, and
 * under a lock: a start mounts on a file after its own changes, when every other start
 * finds the file changed already. The lock is held for one change of a file that needs
 * it, which is the first start's business.
 */
#include "hooks/changes.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "hooks/builtin.h"
#include "util/path.h"
#include "util/root_file.h"
#include "util/temp_file.h"

/* How long a change waits for others. A file server's lock service may not answer. */
#define LOCK_TRIES   200
#define LOCK_WAIT_NS (5 * 1000 * 1000)

static void change_release(struct change *change)
{
        free(change->path);
        free(change->text);
        free(change->old);
        *change = (struct change){ .path = NULL };
}

void change_list_release(struct change_list *list)
{
        for (size_t i = 0; i < list->count; i++)
                change_release(&list->items[i]);
        free(list->items);
        *list = (struct change_list)CHANGE_LIST_INIT;
}

/* A copy with a NUL behind it; NULL for NULL, or without memory. */
static char *copy_text(const char *text, size_t length)
{
        char *copy = text ? malloc(length + 1) : NULL;

        if (copy) {
                memcpy(copy, text, length);
                copy[length] = '\0';
        }
        return copy;
}

int change_list_add(struct change_list *list, const struct change *change)
{
        struct change *items = reallocarray(list->items, list->count + 1, sizeof(*items));
        struct change copy = *change;

        if (!items)
                return -1;
        list->items = items;
        copy.path = strdup(change->path);
        copy.text = copy_text(change->text, change->length);
        copy.old = copy_text(change->old, change->old_length);
        if (!copy.path || (change->text && !copy.text) || (change->old && !copy.old)) {
                change_release(&copy);
                return -1;
        }
        items[list->count++] = copy;
        return 0;
}

int change_read(const struct root_view *view, const char *path, struct strbuf *buffer,
                const char **ret, struct error *err)
{
        struct error failure = ERROR_INIT;

        *ret = NULL;
        if (view->read(view, path, ACCOUNT_FILE_LIMIT, buffer, &failure) == 0)
                *ret = strbuf_text(buffer);
        else if (failure.code != ENOENT)
                return error_set(err, failure.code, "%s", failure.message);
        return 0;
}

static bool is_same(const char *a, size_t a_length, const char *b, size_t b_length)
{
        if (!a || !b)
                return a == b;
        return a_length == b_length && memcmp(a, b, a_length) == 0;
}

int change_list_add_file(struct change_list *list, const char *path, const char *old,
                         size_t old_length, const char *text, size_t length)
{
        const struct change change = {
                .kind = CHANGE_FILE,
                .path = (char *)path,
                .text = (char *)text,
                .length = length,
                .old = (char *)old,
                .old_length = old_length,
                .mode = 0644,
        };

        return is_same(old, old_length, text, length) ? 0 : change_list_add(list, &change);
}

/* ---- carrying out ---- */

/*
 * Lock the directory that a file is in. A descriptor whose end is the lock's, too, or -1:
 * a file system without locks, or one that gives none, must not keep a start waiting.
 */
static int lock_directory(int root_fd, const char *path)
{
        const struct timespec pause = { .tv_nsec = LOCK_WAIT_NS };
        char name[NAME_MAX + 1];
        auto_close int parent = root_file_open_parent(root_fd, path, true, name);
        auto_close int dir = openat(parent, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

        for (int i = 0; dir >= 0 && i < LOCK_TRIES; i++) {
                if (flock(dir, LOCK_EX | LOCK_NB) == 0)
                        return TAKE_FD(dir);
                if (errno != EWOULDBLOCK && errno != EINTR)
                        break;
                (void)nanosleep(&pause, NULL);
        }
        return -1;
}

static int apply_file(const struct change *change, int root_fd, struct error *err)
{
        struct root_view view = root_view_directory(root_fd);
        auto_close int lock = lock_directory(root_fd, change->path);
        auto_strbuf struct strbuf buffer = STRBUF_INIT;
        const char *present;

        if (change_read(&view, change->path, &buffer, &present, err) < 0)
                return -1;
        if (is_same(present, buffer.length, change->text, change->length))
                return 0;
        if (!is_same(present, buffer.length, change->old, change->old_length))
                return error_set(err, EAGAIN, "%s: changed by somebody else at the same time",
                                 change->path);
        return root_file_replace(root_fd, change->path, change->text, change->length, change->mode,
                                 err);
}

/*
 * Make a link beside the final name. Returns its name, malloc'd, or NULL with errno.
 * Each start has one of its own: several may find the same container unprepared.
 */
static char *make_temporary_link(int dir_fd, const char *name, const char *target)
{
        for (int i = 0; i < TEMP_NAME_TRIES; i++) {
                auto_free char *candidate = temp_file_random_name(name);

                if (!candidate) {
                        errno = ENOMEM;
                        return NULL;
                }
                if (symlinkat(target, dir_fd, candidate) == 0)
                        return TAKE_PTR(candidate);
                if (errno != EEXIST)
                        break;
        }
        return NULL;
}

static int apply_link(const struct change *change, int root_fd, struct error *err)
{
        char name[NAME_MAX + 1];
        auto_close int parent = path_open_parent(root_fd, change->path, true, name);
        auto_free char *temporary = NULL;

        if (parent < 0)
                return error_errno(err, "%s", change->path);
        if (symlinkat(change->text, parent, name) == 0)
                return 0;
        temporary = errno == EEXIST ? make_temporary_link(parent, name, change->text) : NULL;
        if (!temporary)
                return error_errno(err, "%s", change->path);
        if (renameat(parent, temporary, parent, name) < 0) {
                error_errno(err, "%s", change->path);
                (void)unlinkat(parent, temporary, 0);
                return -1;
        }
        return 0;
}

static int apply_home(const struct change *change, int root_fd, struct error *err)
{
        char name[NAME_MAX + 1];
        auto_close int parent = root_file_open_parent(root_fd, change->path, true, name);

        if (parent < 0)
                return error_errno(err, "%s", change->path);
        if (skel_make_home(root_fd, change->text, parent, name, change->mode, err) < 0)
                return error_prefix(err, "%s", change->path);
        return 0;
}

static int apply_empty(const struct change *change, int root_fd, struct error *err)
{
        char name[NAME_MAX + 1];
        auto_close int parent = root_file_open_parent(root_fd, change->path, true, name);

        if (parent < 0 || (mknodat(parent, name, S_IFREG | change->mode, 0) < 0 && errno != EEXIST))
                return error_errno(err, "%s", change->path);
        return 0;
}

int change_tolerate(struct report *report, const struct error *err)
{
        if (err->code != EROFS && err->code != EACCES && err->code != EPERM)
                return -1;
        report_warn(report, "%s (the container's root cannot be written; going on)", err->message);
        return 0;
}

int change_list_apply(const struct change_list *list, int root_fd, struct report *report,
                      struct error *err)
{
        static int (*const apply[])(const struct change *change, int root_fd, struct error *err) = {
                [CHANGE_FILE] = apply_file,
                [CHANGE_LINK] = apply_link,
                [CHANGE_HOME] = apply_home,
                [CHANGE_EMPTY] = apply_empty,
        };

        for (size_t i = 0; i < list->count; i++) {
                const struct change *change = &list->items[i];

                if (apply[change->kind](change, root_fd, err) < 0)
                        return change_tolerate(report, err);
        }
        return 0;
}

/* ---- looking at it ---- */

int change_list_print(const struct change_list *list, const char *indent, struct strbuf *text)
{
        for (size_t i = 0; i < list->count; i++) {
                const struct change *change = &list->items[i];

                switch (change->kind) {
                case CHANGE_FILE:
                        strbuf_printf(text, "%swrite %s (%zu bytes)\n", indent, change->path,
                                      change->length);
                        break;
                case CHANGE_LINK:
                        strbuf_printf(text, "%slink %s to %s\n", indent, change->path,
                                      change->text);
                        break;
                case CHANGE_HOME:
                        strbuf_printf(text, "%smake directory %s from %s\n", indent, change->path,
                                      change->text);
                        break;
                case CHANGE_EMPTY:
                        strbuf_printf(text, "%smake file %s\n", indent, change->path);
                        break;
                }
        }
        return text->failed ? -1 : 0;
}

static int changed_read(const struct root_view *view, const char *path, size_t limit,
                        struct strbuf *content, struct error *err)
{
        const struct changed_root *root = view->context;
        const struct change *change = NULL;

        for (size_t i = 0; i < root->changes->count; i++)
                if (root->changes->items[i].kind == CHANGE_FILE &&
                    strcmp(root->changes->items[i].path, path) == 0)
                        change = &root->changes->items[i];
        if (!change)
                return root->base.read(&root->base, path, limit, content, err);
        if (change->length > limit)
                return error_set(err, EFBIG, "%s: larger than %zu bytes", path, limit);
        if (strbuf_append_mem(content, change->text, change->length) < 0)
                return error_no_memory(err);
        return 0;
}

static int changed_mode(const struct root_view *view, const char *path, mode_t *ret)
{
        const struct changed_root *root = view->context;

        return root->base.mode(&root->base, path, ret);
}

static char *changed_readlink(const struct root_view *view, const char *path)
{
        const struct changed_root *root = view->context;

        return root->base.readlink(&root->base, path);
}

struct root_view changed_root_view(const struct changed_root *root)
{
        return (struct root_view){
                .read = changed_read,
                .mode = changed_mode,
                .readlink = changed_readlink,
                .fd = -1,
                .context = root,
        };
}
