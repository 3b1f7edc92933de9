/*
 * Paths below a directory that somebody else controls.
 *
 * An image may hold any symbolic link. Everything here resolves a path as a
 * process would whose root is root_fd: absolute links and ".." start again at
 * root_fd and never leave it (openat2 with RESOLVE_IN_ROOT, an own walk on
 * kernels before 5.6).
 */
#pragma once

#include <stdbool.h>
#include <sys/types.h>

#include "util/error.h"
#include "util/strbuf.h"

/* The most symbolic links followed in one path, as in the kernel. */
#define PATH_MAX_LINKS 40

/*
 * Open path below root_fd. flags as for openat (O_CLOEXEC is added; O_NOFOLLOW
 * concerns the last component; O_CREAT with mode is allowed). Returns a
 * descriptor that the caller closes, or -1 with errno (EXDEV is never returned).
 */
int path_open_in_root(int root_fd, const char *path, int flags, mode_t mode);

/*
 * Open the directory at path below root_fd (O_PATH), making it and its missing
 * parents with the mode. Links are followed inside the root; a missing target of
 * a link is made, too. Returns a descriptor, or -1 with errno.
 */
int path_make_dirs(int root_fd, const char *path, mode_t mode);

/*
 * Open the parent directory of path below root_fd (O_PATH), making missing
 * directories (0755) when create is set, and copy the last component to name
 * (NAME_MAX + 1 bytes; "." for the root itself). The last component itself is not
 * followed. Returns a descriptor, or -1 with errno.
 */
int path_open_parent(int root_fd, const char *path, bool create, char *name);

/*
 * Bring a path of an archive into the one form that the pipeline uses: relative,
 * no empty or "." components, ".." taken back lexically but never above the root;
 * "" is the root itself. Returns 0, or -1 without memory or when the result has
 * a component over NAME_MAX.
 */
int path_normalize(const char *path, struct strbuf *result);

/* path itself, or below the current directory when it is relative. malloc'd, or NULL with *err. */
char *path_absolute(const char *path, struct error *err);

/* dir + "/" + name as malloc'd memory, or NULL. */
char *path_join(const char *dir, const char *name);

/*
 * A program that may be executed, in the first directory of a list like PATH that has
 * it; relative entries are left out. malloc'd, or NULL with errno (ENOENT).
 */
char *path_find_program(const char *program, const char *list);

/*
 * Remove a directory tree below dir_fd, never crossing into another file system
 * and never following links. Directories without permissions are made writable
 * first. A missing name is no error. Returns 0, or -1 with *err.
 */
int path_remove_tree(int dir_fd, const char *name, struct error *err);

/* mkdir -p with the given mode for every directory that is made. Returns 0, or -1 with *err. */
int path_make_private_dirs(const char *path, mode_t mode, struct error *err);
