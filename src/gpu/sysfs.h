/* Looking at the kernel's directories of devices. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "util/error.h"
#include "util/strbuf.h"
#include "util/strlist.h"

/* The largest file of sysfs or procfs that is read, in bytes. */
#define SYSFS_FILE_LIMIT 65536u

/* A path, printf style: malloc'd, or NULL with *err. */
char *sysfs_path(struct error *err, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/*
 * Append the names in a directory, sorted, that begin with prefix ("": all). A directory
 * that cannot be read has none. Returns 0, or -1 with *err without memory.
 */
int sysfs_list(const char *dir, const char *prefix, struct strlist *names, struct error *err);

/* Replace *value with a file's content less blanks at its end; "" when it cannot be read. */
void sysfs_read(const char *path, struct strbuf *value);

/* The value of "KEY=VALUE" or "KEY VALUE" on a line of text; malloc'd, or NULL. Pure. */
char *sysfs_value(const char *text, const char *key);
