/*
 * The image while it is written: a descriptor behind libsquashfs' file interface, for
 * writing only (nothing of libsquashfs that the writer uses reads).
 *
 * libsquashfs reports every failed call as SQFS_ERROR_IO; the errno is kept here, so
 * that "No space left on device" reaches the user.
 */
#pragma once

#include <sqfs/io.h>

#include "util/error.h"

struct output {
        sqfs_file_t base;
        int fd;
        uint64_t size; /* of what has been written, in bytes */
        int error;     /* errno of the last failed call */
};

/* Ready to be used through &output->base; owns nothing. */
void output_init(struct output *output, int fd, uint64_t size);

/* Write all of it. Safe from several threads for different places. 0, or -1 with *err. */
int output_write(int fd, const void *data, size_t size, uint64_t offset, struct error *err);

/* Read all of it back, as output_write has written it. */
int output_read(int fd, void *data, size_t size, uint64_t offset, struct error *err);

/* Turn a status of libsquashfs into 0, or -1 with *err. what is the context: "inode table". */
int output_check(const struct output *output, int status, const char *what, struct error *err);
