/* runtime_path: what lives as long as the node is up. Root's, with a directory for each user. */
#pragma once

#include <sys/types.h>

#include "util/error.h"

/* Open, and make, runtime_path. A descriptor that the caller closes, or -1 with *err. */
int runtime_dir_open(const char *path, struct error *err);

/* Make a user's directory in it, named by his number. Returns 0, or -1 with *err. */
int runtime_dir_make(const char *path, uid_t uid, gid_t gid, struct error *err);
