/*
 * A file that gets its name only when it is complete.
 *
 * Where the file system allows it (O_TMPFILE), the file has no name at all until
 * it is published, so not even SIGKILL leaves something behind; elsewhere (NFS,
 * some FUSE) it is ".NAME.XXXXXX" beside the final name and removed on discard.
 *
 * Life cycle: create → write through fd → publish, or discard at any time.
 */
#pragma once

#include <stdbool.h>
#include <sys/types.h>

#include "util/error.h"

struct temp_file {
        int fd;     /* readable and writable; -1 when there is none */
        int dir_fd; /* borrowed from the caller, must stay open */
        char *name; /* the temporary name, NULL when the file has none */
        mode_t mode;
};

/*
 * A name for what stands beside NAME until it is complete: ".NAME.XXXXXX", cut so that
 * it fits into NAME_MAX. It is random: another process may make the same thing at the
 * same time. Where it is taken all the same, another is tried, up to so many times.
 * malloc'd; NULL without memory.
 */
char *temp_file_random_name(const char *name);
#define TEMP_NAME_TRIES 100

#define TEMP_FILE_INIT { .fd = -1, .dir_fd = -1, .name = NULL }

/*
 * Create an empty file in dir_fd that will be published as name (which the temporary
 * one is made from) with the given mode less the umask. Returns 0, or -1 with *err;
 * here and below the caller puts the file's path in front.
 */
int temp_file_create(struct temp_file *temp, int dir_fd, const char *name, mode_t mode,
                     struct error *err);

/*
 * Flush to disk, then give the file its final name, in one step and durably.
 *
 * replace  whether an existing file of that name is replaced; without it one is
 *          an error (EEXIST) and is left alone
 *
 * Returns 0, after which discard only closes; or -1 with *err.
 */
int temp_file_publish(struct temp_file *temp, const char *name, bool replace, struct error *err);

/* Close and, unless published, remove. Safe on an initialised struct. */
void temp_file_discard(struct temp_file *temp);

#define auto_discard __attribute__((cleanup(temp_file_discard)))
