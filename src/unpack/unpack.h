/*
 * unpack/: an image as a directory, always beneath one directory descriptor.
 */
#pragma once

#include "squashfs/squashfs.h"
#include "util/report.h"

/*
 * Extract an image into dir_fd, an empty directory, on several threads.
 *
 * Owners become the caller's; modes, times, hard links, sparse files and user.*
 * attributes are kept, and the caller gets read, write and search permission on
 * every directory and read permission on every file, so that the tree can be
 * used and removed without capabilities. Device nodes are left out. Names cannot
 * lead out of dir_fd: every file is made with O_EXCL in a directory that this
 * call made itself.
 *
 * Returns 0, or -1 with *err (ENOSPC, EDQUOT … name the path); what was extracted
 * so far stays for the caller to remove.
 */
int unpack_image(struct squashfs_image *image, int dir_fd, unsigned int threads,
                 struct report *report, struct error *err);
