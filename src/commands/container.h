/* Containers by name: directories of ENROOT_DATA_PATH. Private to commands/. */
#pragma once

#include "util/error.h"

/* 0 for a name that a container may have; -1 with *err (EINVAL) that says why not. */
int container_check_name(const char *name, struct error *err);

/* Open (and make, 0700) ENROOT_DATA_PATH. A descriptor that the caller closes, or -1 with *err. */
int container_open_data_path(const char *data_path, struct error *err);
