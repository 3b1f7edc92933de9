/*
 * Drop-in directories: the files DIR/ *SUFFIX in the order of the C locale, as
 * enroot.conf.d, environ.d and mounts.d are read.
 */
#pragma once

#include <stddef.h>

#include "util/error.h"

/*
 * Call visit with path and content of each regular file (links followed) whose name
 * ends in suffix; hidden ones are left out. A missing directory has none.
 *
 * limit  largest file accepted, in bytes
 *
 * Returns 0; or -1 with *err, from a file that cannot be read or from visit.
 */
int dropin_for_each(const char *dir, const char *suffix, size_t limit,
                    int (*visit)(void *context, const char *path, const char *text, size_t length,
                                 struct error *err),
                    void *context, struct error *err);
