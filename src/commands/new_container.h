/*
 * A container on its way: a directory of ENROOT_DATA_PATH that gets its name when it is
 * complete. Private to commands/.
 *
 * Until then it has a temporary name and is locked. (The directory of a lazy one keeps that
 * name, and a link to it is made: place.h.) A run that was killed leaves such a
 * directory without a lock, which the next one removes.
 */
#pragma once

#include "commands/commands.h"
#include "util/temp_dir.h"

struct new_container {
        const struct config *config;
        const char *name; /* borrowed */
        bool lazy;
        int data_fd; /* ENROOT_DATA_PATH */
        struct temp_dir dir;
};

#define NEW_CONTAINER_INIT                                                                         \
        {                                                                                          \
                .data_fd = -1, .dir = TEMP_DIR_INIT                                                \
        }

/*
 * Begin a container of that name; container->lazy says of which kind. An existing one is an error
 * (EEXIST) unless the configuration has force_override. Returns 0, or -1 with *err.
 */
int new_container_begin(struct new_container *container, const struct config *config,
                        const char *name, struct error *err);

/* Another directory beside it for what is needed on the way; discarded by the caller. */
int new_container_begin_aside(const struct new_container *container, struct temp_dir *ret,
                              struct error *err);

/* Give it its name. */
int new_container_publish(struct new_container *container, struct error *err);

/* Remove it unless it was published, and what it replaced. */
void new_container_release(struct new_container *container);
#define auto_new_container auto_cleanup(new_container_release)
