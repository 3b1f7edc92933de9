/*
 * A directory that gets its name only when it is complete.
 *
 * Until then it is ".NAME.XXXXXX" beside its final name. Life cycle: create → fill
 * through fd → publish, or discard at any time.
 */
#pragma once

#include <stdbool.h>
#include <sys/types.h>

#include "util/error.h"

struct temp_dir {
        int fd;        /* the directory; -1 when there is none */
        int parent_fd; /* borrowed from the caller, must stay open */
        char *name;    /* the temporary name, NULL when there is none */
};

#define TEMP_DIR_INIT { .fd = -1, .parent_fd = -1, .name = NULL }

/*
 * Create an empty directory in parent_fd whose temporary name is made from name, with
 * the given mode less the umask. Returns 0, or -1 with *err; here and below the caller
 * puts the path in front.
 */
int temp_dir_create(struct temp_dir *dir, int parent_fd, const char *name, mode_t mode,
                    struct error *err);

/*
 * Give the directory its final name in one step.
 *
 * replace  whether an existing directory of that name is replaced (and then removed by
 *          discard); without it one is an error (EEXIST) and is left alone
 *
 * Returns 0, or -1 with *err.
 */
int temp_dir_publish(struct temp_dir *dir, const char *name, bool replace, struct error *err);

/* Close and, unless published, remove with all that is in it. Safe on an initialised struct. */
void temp_dir_discard(struct temp_dir *dir);

#define auto_temp_dir __attribute__((cleanup(temp_dir_discard)))
