/* What the files of store/ share. */
#pragma once

#include <dirent.h>
#include <stdbool.h>
#include <sys/stat.h>

#include "store/store.h"

/* "sha256-HEX" */
#define STORE_NAME_SIZE IMAGE_DIGEST_SIZE

struct store {
        char *path;
        int dir_fd;
        int site_fd; /* -1: no cache of the site */
        bool swept; /* what killed processes left behind has been removed */
};

/* The cache's directory for reading, at its start. NULL with errno. */
DIR *store_open_dir(const struct store *store);

/*
 * The digest in a name that begins with "sha256-HEX". Returns what follows it, or NULL
 * when the name begins otherwise.
 */
const char *store_name_digest(const char *name, char ret_digest[IMAGE_DIGEST_SIZE]);

/*
 * Open a file of the cache that is used now. A descriptor, or -1 with *err, whose
 * code is ENOENT when there is none.
 */
int store_open_used(struct store *store, const char *name, struct stat *st, struct error *err);

/* What the names of images end with, and those of points. */
#define STORE_IMAGE_SUFFIX  ".sqsh"
#define STORE_POINTS_SUFFIX ".points"

/*
 * The digest in a name ".sha256-HEX.…" of something beside a blob: its lock, a part of it,
 * a temporary file. Returns what follows the digest; NULL for other names, those of
 * something beside an image (its lease above all) included.
 */
const char *store_leftover_digest(const char *name, char ret_digest[IMAGE_DIGEST_SIZE]);

/* The file name of a blob. Returns 0, or -1 with *err (EINVAL) for a malformed digest. */
int store_blob_name(const char *digest, char name[STORE_NAME_SIZE], struct error *err);
