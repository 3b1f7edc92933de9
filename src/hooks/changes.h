/*
 * Changes to the files of a rootfs as plain values: hooks plan them, a dry run prints
 * them, and one place carries them out.
 */
#pragma once

#include <stddef.h>
#include <sys/types.h>

#include "util/cleanup.h"
#include "util/error.h"
#include "util/report.h"
#include "util/root_view.h"
#include "util/strbuf.h"

enum change_kind {
        CHANGE_FILE,  /* a file gets new content; links to it are followed */
        CHANGE_LINK,  /* the name itself becomes a symbolic link */
        CHANGE_HOME,  /* a directory with what a skeleton holds, unless the name is there */
        CHANGE_EMPTY, /* an empty file, unless the name is there */
};

/* Every pointer is owned. */
struct change {
        enum change_kind kind;
        char *path;
        char *text; /* content of a file, target of a link, path of a skeleton; else NULL */
        size_t length;
        char *old; /* content of a file when the change was planned; NULL: there was none */
        size_t old_length;
        mode_t mode; /* of what is made; what is there keeps its own */
};

struct change_list {
        struct change *items;
        size_t count;
};

#define CHANGE_LIST_INIT { .items = NULL }

void change_list_release(struct change_list *list);
#define auto_change_list auto_cleanup(change_list_release)

/* Append a copy. Returns 0, or -1 without memory. */
int change_list_add(struct change_list *list, const struct change *change);

/*
 * Look at a file that is to be changed: *ret is its content (in buffer), or NULL when there
 * is no such file. Returns 0, or -1 with *err.
 */
int change_read(const struct root_view *view, const char *path, struct strbuf *buffer,
                const char **ret, struct error *err);

/*
 * Plan that a file, which holds old now (NULL: there is none), holds the text. Nothing is
 * planned when it does already: most starts find everything in place, and a shared rootfs
 * stays untouched. Returns 0, or -1 without memory.
 */
int change_list_add_file(struct change_list *list, const char *path, const char *old,
                         size_t old_length, const char *text, size_t length);

/*
 * Turn a failure into a warning when the rootfs is simply not the user's to change (a
 * read-only or foreign file system): 0 then, -1 for other errors.
 */
int change_tolerate(struct report *report, const struct error *err);

/*
 * Carry the changes out, in order, up to the first that change_tolerate turns into a
 * warning.
 *
 * Returns 0, or -1 with *err: EAGAIN when a file was changed by somebody else after the
 * change was planned; plan again then.
 */
int change_list_apply(const struct change_list *list, int root_fd, struct report *report,
                      struct error *err);

/* A line for each change: "write /etc/passwd (812 bytes)". 0, or -1 without memory. */
int change_list_print(const struct change_list *list, const char *indent, struct strbuf *text);

/* A rootfs as it will be once the files of a list are written. */
struct changed_root {
        struct root_view base;
        const struct change_list *changes;
};

/* root must outlive the view. */
struct root_view changed_root_view(const struct changed_root *root);
