/*
 * Files of an image, which may be symbolic links to anywhere: read and replaced as
 * a process would whose root is root_fd, and never outside of it (path.h).
 */
#pragma once

#include <stdbool.h>
#include <sys/types.h>

#include "util/error.h"
#include "util/strbuf.h"

/*
 * Append the content of a regular file below root_fd. Returns 0, or -1 with *err:
 * ENOENT when there is none, EINVAL for anything but a regular file (a FIFO would
 * block for ever), EFBIG past limit bytes.
 */
int root_file_read(int root_fd, const char *path, size_t limit, struct strbuf *content,
                   struct error *err);

/*
 * Like path_open_parent, but for the file that is reached when the last component
 * is followed, too: what is to be made or renamed in the directory returned under
 * that name is no link (ELOOP after PATH_MAX_LINKS of them).
 */
int root_file_open_parent(int root_fd, const char *path, bool create, char *name);

/*
 * Give a file new content, in one step, so that containers on other machines that
 * share the root see the old text or the new one. Missing directories are made.
 * mode is for a new file; an existing one keeps its own. Returns 0, or -1 with *err.
 */
int root_file_replace(int root_fd, const char *path, const char *text, size_t length, mode_t mode,
                      struct error *err);
