/*
 * Drop-in directories: the files DIR/ *SUFFIX in the order of the C locale, as
 * enroot.conf.d, environ.d, mounts.d and hooks.d are read.
 */
#pragma once

#include <stddef.h>

#include "util/error.h"
#include "util/strlist.h"

/*
 * Append the names of the regular files (links followed) that end in suffix, sorted;
 * hidden ones are left out. A missing directory has none. Returns 0, or -1 with *err.
 */
int dropin_list(const char *dir, const char *suffix, struct strlist *names, struct error *err);

/*
 * Call visit with path and content of each of these files.
 *
 * limit  largest file accepted, in bytes
 *
 * Returns 0; or -1 with *err, from a file that cannot be read or from visit.
 */
int dropin_for_each(const char *dir, const char *suffix, size_t limit,
                    int (*visit)(void *context, const char *path, const char *text, size_t length,
                                 struct error *err),
                    void *context, struct error *err);
