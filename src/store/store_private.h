/* What the files of store/ share. */
#pragma once

#include <stdbool.h>

#include "store/store.h"

/* "sha256-HEX" */
#define STORE_NAME_SIZE IMAGE_DIGEST_SIZE

struct store {
        char *path;
        int dir_fd;
        bool swept; /* what killed processes left behind has been removed */
};

/* The file name of a blob. Returns 0, or -1 with *err (EINVAL) for a malformed digest. */
int store_blob_name(const char *digest, char name[STORE_NAME_SIZE], struct error *err);
