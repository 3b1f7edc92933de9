/*
 * mount/: fstab lines → a mount plan (pure), and the one place that carries plans
 * out (apply.c).
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "util/error.h"
#include "util/report.h"
#include "util/strbuf.h"
#include "util/strlist.h"

enum mount_create {
        MOUNT_CREATE_NONE,
        MOUNT_CREATE_DIR,
        MOUNT_CREATE_FILE,
        MOUNT_CREATE_AUTO, /* whatever the source is */
};

/* MS_NOSYMFOLLOW of Linux 5.10, which is not in every C library's <sys/mount.h>. */
#define MOUNT_NOSYMFOLLOW 256

/* Limits on fstab files, which come with the image, too. */
#define MOUNT_FILE_LIMIT (1u << 20) /* bytes */
#define MOUNT_PLAN_LIMIT 16384u     /* entries */

/* One step of a plan. Every string is owned and, but for target, may be NULL. */
struct mount_entry {
        char *source;  /* on the host for binds; what the file system wants otherwise */
        char *target;  /* path below the rootfs: absolute, no "." or ".." or double slashes */
        char *type;    /* NULL for binds, remounts and changes of propagation */
        char *data;    /* options for the file system itself */

        uint64_t attr_set, attr_clear; /* MS_RDONLY, MS_NOSUID, MS_NODEV, … of mount(2) */
        uint64_t below_set, below_clear; /* the same of it and all mounts below it */
        unsigned long propagation;     /* MS_PRIVATE, MS_SLAVE …, 0: leave */
        bool propagation_recursive;
        bool bind, recursive, remount, move, detach;
        bool image; /* type squashfs: source is an image file, or a device */

        /* Of a bind without a source: a file in memory that holds this, not known to fstab. */
        char *content;
        size_t content_length;

        bool has_tree; /* of a bind: tree_fd is a copy of the source that is mounted nowhere */
        int tree_fd;

        enum mount_create create;
        bool nofail, silent;
        int pass;     /* fs_passno: lower ones first, negative ones before the hooks */
        char *origin; /* "FILE:LINE" or the --mount word, for messages */
};

struct mount_plan {
        struct mount_entry *entries;
        size_t count, capacity;
};

#define MOUNT_PLAN_INIT { .entries = NULL }

void mount_entry_release(struct mount_entry *entry);
void mount_plan_release(struct mount_plan *plan);
#define auto_mount_plan auto_cleanup(mount_plan_release)

/*
 * Append the entries of fstab text. Grammar: fstab(5) with \040-style escapes and the
 * extensions in enroot-fstab(5): fields may be left out, x-create, x-move, x-detach,
 * nofail, silent, propagation words. Unknown options are the file system's business
 * where a type is given, and an error otherwise. origin names the file in messages.
 *
 * env  replaces ${VAR} (empty when undefined) within each field, so a value with
 *      blanks stays in its field; NULL: text is taken as it is
 *
 * Returns 0, or -1 with *err naming origin and line.
 */
int mount_plan_add_fstab(struct mount_plan *plan, const char *text, size_t length,
                         const char *origin, const struct strlist *env, struct error *err);

/*
 * The names of the options of mounts that mean something to the kernel, in the order of the
 * alphabet; NULL past the last.
 */
const char *mount_option_name(size_t index);

/* Append dir/ *.fstab in name order; a missing directory is no error. */
int mount_plan_add_dir(struct mount_plan *plan, const char *dir, const struct strlist *env,
                       struct error *err);

/*
 * Append one --mount word SRC[:DST[:TYPE[:OPTS]]] ("\:" is a colon). A relative
 * source is relative to the current directory.
 */
int mount_plan_add_word(struct mount_plan *plan, const char *word, struct error *err);

/*
 * Append an entry from one fstab line written by the program itself (printf style).
 * Paths that may hold blanks go through strbuf_append_fstab; ${VAR} is not replaced.
 */
int mount_plan_add_line(struct mount_plan *plan, struct error *err, const char *fmt, ...)
        __attribute__((format(printf, 3, 4)));

/* One entry as an fstab line, no newline, for --dry-run and messages. 0, or -1 without memory. */
int mount_entry_print(const struct mount_entry *entry, struct strbuf *text);

/*
 * Append a copy of an entry that the program itself has filled in; every string is
 * duplicated. Returns 0, or -1 without memory (the plan is unchanged then).
 */
int mount_plan_append(struct mount_plan *plan, const struct mount_entry *entry);

/* Move all entries of one plan to the end of another. Returns 0, or -1 without memory. */
int mount_plan_take(struct mount_plan *to, struct mount_plan *from);

/*
 * Bring the entries into the order in which they are carried out: by pass; where it is the
 * same, as they were added. Returns 0, or -1 without memory.
 */
int mount_plan_sort(struct mount_plan *plan);

/* The directory that targets are below. */
struct mount_root {
        int fd;           /* O_PATH will do; opened in the current mount namespace */
        const char *path; /* where it is: sources below it are resolved inside it; NULL: none are */

        /*
         * Mounts the image file at path source for an entry of type squashfs, which users
         * cannot mount themselves. NULL: nobody does. Returns 0, or -1 with *err.
         */
        int (*mount_image)(const void *context, const struct mount_entry *entry, const char *source,
                           int target_fd, struct error *err);
        const void *image_context;
};

/*
 * Look whether every source is there, before anything is mounted: what the entries whose
 * pass is between first and last bind or move, and image files. Left out are nofail ones
 * and sources below root_path (NULL: there are none), which earlier entries may make.
 * Returns 0, or -1 with *err naming source, target and origin.
 */
int mount_plan_check(const struct mount_plan *plan, const char *root_path, int first, int last,
                     struct error *err);

/*
 * Carry out the entries of a plan whose pass is between first and last, in order.
 * Targets are resolved below root->fd, whatever links it holds, and made when the
 * entry says so.
 *
 * A failed nofail entry is reported (unless silent) and skipped.
 * Returns 0, or -1 with *err naming source, target and origin.
 */
int mount_plan_apply(const struct mount_plan *plan, const struct mount_root *root, int first,
                     int last, struct report *report, struct error *err);

/* Who may do the following. */
#define MOUNT_OWNERS_HINT                                                                          \
        "only root of the user namespace that it was mounted in may change who owns its files"

/*
 * Take a copy of a bind's source whose files have the owners that the map of a user namespace
 * gives them (mount_setattr(2), Linux 5.12); recursive: on all its mounts. The entry is
 * mounted from it. Returns 0, or -1 with *err that says who may.
 */
int mount_entry_map_owners(struct mount_entry *entry, int user_namespace_fd, bool recursive,
                           struct error *err);

/*
 * Bind a directory read-only over another one with the mount calls of Linux 5.12 and
 * nothing else, to see whether they work. Returns 0, or -1 with *err naming the call.
 */
int mount_api_try(const char *source, int target_fd, struct error *err);
