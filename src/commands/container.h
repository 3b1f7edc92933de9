/* Containers by name: directories of ENROOT_DATA_PATH. Private to commands/. */
#pragma once

#include "commands/commands.h"
#include "unpack/unpack.h"

/* 0 for a name that a container may have; -1 with *err (EINVAL) that says why not. */
int container_check_name(const char *name, struct error *err);

/* Open (and make, 0700) ENROOT_DATA_PATH. A descriptor that the caller closes, or -1 with *err. */
int container_open_data_path(const char *data_path, struct error *err);

/*
 * Open an image file that a tree or a bundle is made from. *ret is the caller's to close.
 * Returns a descriptor that is open as long as the image is, or -1 with *err.
 */
int container_open_image(const char *path, struct squashfs_image **ret, struct error *err);

/* Append the names of all containers, sorted; none without a data path. 0, or -1 with *err. */
int container_names(const char *data_path, struct strlist *names, struct error *err);

/* How trees are made: on all processors, and with the image's owners where those are kept. */
struct unpack_options container_unpack_options(const struct command_context *context);

/*
 * Remove a container's directory, or an unfinished one: also one with files of
 * subordinate ids, which only root of their namespace can. Returns 0, or -1 with *err.
 */
int container_remove_tree(const struct config *config, int data_fd, const char *name,
                          struct error *err);
