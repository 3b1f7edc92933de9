/*
 * bundle/: one file that runs by itself: a statically linked runtime, what it is told
 * (description, settings, configuration files), and an image.
 *
 *      runtime    an ELF program, from offset 0
 *      head       struct of fixed size, at the next multiple of 16
 *      records    of variable size: texts, settings, directories, files
 *      image      at the next multiple of 64 KiB, the largest page size, so that it is
 *                 shared with the file that it was copied from, where file systems can,
 *                 and served without a copy; to the end of the file
 *
 * Numbers are little-endian. Where the runtime ends says its ELF header. The same input
 * gives the same bytes.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "util/error.h"
#include "util/report.h"
#include "util/sha256.h"
#include "util/strbuf.h"
#include "util/strlist.h"

/* Limits on what a bundle carries besides the image, in bytes. */
#define BUNDLE_RECORDS_LIMIT (64u << 20)
#define BUNDLE_PATH_LIMIT    4096u

struct bundle_file {
        char *path; /* relative, without ".." */
        bool directory;
        bool executable;
        char *data; /* NULL for a directory */
        size_t size;
};

struct bundle {
        uint64_t image_offset, image_size; /* in the file, in bytes */
        uint64_t content_size;             /* of the image's files, in bytes */
        bool has_checksum;
        char checksum[SHA256_HEX_SIZE];

        char *description;  /* "" for none */
        char *target;       /* directory of --keep and --extract, with variables in it */
        char *version;      /* of the program that made the bundle */
        char *image;        /* name of the image file */
        char *architecture; /* Go's name */
        char *compression;  /* of the image */

        struct strlist settings; /* "ENROOT_KEY=VALUE" */
        struct bundle_file *files; /* directories before what is in them */
        size_t file_count, file_capacity;
};

#define BUNDLE_INIT { .description = NULL }

void bundle_release(struct bundle *bundle);
#define auto_bundle auto_cleanup(bundle_release)

/* ---- format.c: pure ---- */

/* Places below the directory that a bundle's files are laid down in, as in the classic tool. */
#define BUNDLE_SYSTEM  "etc/system"
#define BUNDLE_USER    "etc/user"
#define BUNDLE_LIBRARY "common.sh" /* in lib */

/* How much of a file's beginning bundle_runtime_size looks at, in bytes. */
#define BUNDLE_ELF_SIZE 64

/*
 * Where a program ends, from its ELF header: with the section headers, which linkers put
 * last. Returns 0, or -1 with *err (EBADMSG).
 */
int bundle_runtime_size(const void *header, size_t size, uint64_t *ret, struct error *err);

/* The place of the head. */
uint64_t bundle_head_offset(uint64_t runtime_size);

/* Bytes of the head, which says how many of records follow. */
#define BUNDLE_HEAD_SIZE 120

/* Where in the head the checksum stands, 64 hex digits. It counts as zeros in itself. */
#define BUNDLE_CHECKSUM_OFFSET 56
#define BUNDLE_CHECKSUM_SIZE   (SHA256_HEX_SIZE - 1)

/*
 * Append head and records of a bundle to *text, and set bundle->image_offset. The
 * checksum is left to be written later. Returns 0, or -1 with *err.
 */
int bundle_encode(struct bundle *bundle, uint64_t runtime_size, struct strbuf *text,
                  struct error *err);

/*
 * Decode a head alone. ret_records is the size of the records that follow. Returns 0, or
 * -1 with *err (EBADMSG).
 */
int bundle_decode_head(const void *data, size_t size, struct bundle *ret, uint32_t *ret_records,
                       struct error *err);

/*
 * The opposite of bundle_encode. *ret is an initialised bundle that the caller releases.
 * Returns 0, or -1 with *err (EBADMSG). Whether the image is there is not checked.
 */
int bundle_decode(const void *data, size_t size, struct bundle *ret, struct error *err);

/* Append a file or (data NULL) a directory; copies everything. 0, or -1 without memory. */
int bundle_add_file(struct bundle *bundle, const char *path, bool executable, const void *data,
                    size_t size);

/* What a bundle's --info prints. Appends to *text; 0, or -1 with *err. */
int bundle_print(const struct bundle *bundle, struct strbuf *text, struct error *err);

/* ---- file.c ---- */

/*
 * Read what an open file says as a bundle. Returns 0, or -1 with *err: ENOEXEC for a
 * program without a bundle, EBADMSG for one that is damaged, or shorter than it says.
 */
int bundle_read(int fd, struct bundle *ret, struct error *err);

/*
 * Write a bundle to fd, an empty file. runtime_fd and image_fd are read from their
 * beginning; with bundle->has_checksum, the checksum is computed. Sets image_offset,
 * image_size and checksum. Returns 0, or -1 with *err.
 */
int bundle_write(int fd, int runtime_fd, int image_fd, struct bundle *bundle, struct error *err);

/* Compare the checksum, if there is one: 0, or -1 with *err (EBADMSG for another one). */
int bundle_verify(int fd, const struct bundle *bundle, struct error *err);

/* ---- files.c ---- */

/*
 * Add a directory of the host with all that is in it, links followed, as path. A
 * missing one is none. Sorted by name. Returns 0, or -1 with *err naming the file: EFBIG
 * past the limits.
 */
int bundle_add_tree(struct bundle *bundle, const char *source, const char *path,
                    struct error *err);

/* Make a bundle's directories and files below an empty directory. Returns 0, or -1 with *err. */
int bundle_lay_down(const struct bundle *bundle, int dir_fd, struct error *err);
