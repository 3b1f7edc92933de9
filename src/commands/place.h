/*
 * Where a container is. Private to commands/.
 *
 * An ordinary container is a directory of ENROOT_DATA_PATH, and its root. A lazy one refers
 * to an image file. Its name is a symbolic link to a hidden directory beside it, which has
 *
 *      image       a symbolic link to the image file
 *      identity    what the image was when the container was made (squashfs_identity)
 *      upper,work  the changes to it, as overlayfs stores them
 *
 * What makes it lazy is the link and the name of the hidden directory, never something
 * inside: everything in an ordinary container's directory is written by its image and its
 * processes, and must not turn it into a container of something else.
 */
#pragma once

#include <stdbool.h>

#include "commands/record.h"
#include "config/config.h"
#include "util/error.h"

/* The hidden directory is ".enroot-lazy.NAME.XXXXXX" (util/temp_dir.h). */
#define LAZY_PREFIX   "enroot-lazy."
#define LAZY_IMAGE    "image"
#define LAZY_IDENTITY "identity"
#define LAZY_UPPER    "upper"

struct place {
        char *path; /* absolute: ENROOT_DATA_PATH/NAME */
        int fd;     /* of the directory: the root, or the hidden one; readable */
        bool lazy;
        char *layers; /* of a lazy one: absolute path of the hidden directory */
        char *image;  /* and of the image */
};

#define PLACE_INIT                                                                                 \
        {                                                                                          \
                .fd = -1                                                                           \
        }

/* Find a container by its name. Returns 0, or -1 with *err: ENOENT when there is none. */
int place_find(struct place *ret, const struct config *config, const char *name, struct error *err);
void place_release(struct place *place);
#define auto_place auto_cleanup(place_release)

/* The error of a name that no container has: always -1. */
int place_missing(const char *name, const char *data_path, struct error *err);

/*
 * Open the image of a lazy container. An error says that it is gone, or that it is not the
 * one that the container was made from. Returns a descriptor, or -1 with *err.
 */
int place_open_image(const struct place *place, struct error *err);

/* Read where the container came from: 1, 0 when that is not recorded, or -1 with *err. */
int place_read_record(const struct place *place, struct image_record *ret, struct error *err);

/*
 * Remove a container, or what is left of one under a temporary name, with the changes of a
 * lazy one (container_remove_tree). Returns 0, or -1 with *err.
 */
int place_remove(const struct config *config, int data_fd, const char *name, struct error *err);

/* Whether some container is the hidden directory of that name. */
bool place_is_used(const char *data_path, int data_fd, const char *hidden);

/*
 * The target of a link that is a lazy container's name: malloc'd, NULL for anything else
 * and without memory.
 */
char *place_lazy_target(int data_fd, const char *name);

/*
 * Whether a word that names an image file or a container is that of an image: 1, 0, or -1
 * with *err for a file that is something else.
 */
int place_is_image(const char *target, struct error *err);
