/*
 * store/: files that outlive a command: the cache of blobs as they came from a
 * registry, each under its digest, and of images that "run" made of them.
 *
 * Layout of ENROOT_CACHE_PATH:
 *      sha256-HEX       a complete, verified blob
 *      sha256-HEX.points  where the blob can be decompressed from (codec.h)
 *      sha256-HEX.sqsh  an image, under the digest of its manifest
 *      reference-HEX    which image a reference stands for, by a hash of the reference
 *      .sha256-HEX.lock lock of whoever fetches it (flock), removed afterwards
 *      .sha256-HEX.partial  what an interrupted run has of a large one, for the next
 *
 * A blob gets its name only after its digest matched and it is on disk, so a name
 * that exists can be used without hashing again.
 */
#pragma once

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "image/image.h"
#include "util/error.h"
#include "util/report.h"
#include "util/temp_file.h"

struct store;

/* Open (and make, 0700) the cache directory. NULL with *err naming ENROOT_CACHE_PATH. */
struct store *store_open(const char *path, struct error *err);
void store_close(struct store *store);

static inline void cleanup_store(struct store **store)
{
        if (*store)
                store_close(*store);
}
#define auto_store __attribute__((cleanup(cleanup_store)))

/*
 * Look for blobs in a cache of the site as well, after the own one. Nothing is ever
 * written there. Returns 0; -1 with *err naming it when it cannot be opened.
 */
int store_add_site(struct store *store, const char *path, struct error *err);

/*
 * Whether so many bytes more fit: 0, or -1 with *err (ENOSPC) naming the path, the
 * need and ENROOT_CACHE_PATH. A quota shows only when it is hit.
 */
int store_check_space(const struct store *store, uint64_t bytes, struct error *err);

/*
 * A descriptor of a complete blob, which counts as used now; -1 with *err, whose code is ENOENT
 * when the cache has none of that digest and size.
 */
int store_get(struct store *store, const char *digest, uint64_t size, struct error *err);

/* A blob on its way into the store. Used by one writer and any number of readers. */
struct store_writer;

/*
 * Become the one writer of a blob on this machine. What an interrupted run has left of
 * a large blob is read and hashed, and counts as written.
 * Returns 1 and *ret; 0 when another process is writing it (ask again later);
 * 2 when it is complete by now; -1 with *err.
 */
int store_begin(struct store *store, const char *digest, uint64_t size, struct store_writer **ret,
                struct error *err);

/*
 * Hash and store the next bytes. Returns 0, or -1 with *err: EMSGSIZE when they
 * exceed the promised size; ENOSPC names the path and ENROOT_CACHE_PATH.
 */
int store_write(struct store_writer *writer, const void *data, size_t size, struct error *err);

/* The descriptor that the bytes are in, for pread by readers while it grows. */
int store_writer_fd(const struct store_writer *writer);

/* Bytes accepted so far, and how many of them readers find in the file already. */
uint64_t store_writer_size(const struct store_writer *writer);
uint64_t store_writer_readable(const struct store_writer *writer);

/*
 * Check size (EMSGSIZE) and digest (EBADMSG). Afterwards all bytes can be read from
 * the fd, and nothing more can be written.
 */
int store_verify(struct store_writer *writer, struct error *err);

/*
 * Verify, unless that is done, bring the bytes to the disk (which takes a while),
 * publish, and release the lock. The fd stays readable until free.
 */
int store_commit(struct store_writer *writer, struct error *err);

/*
 * Release. Unless committed, the bytes are gone, but for those of a large blob in which
 * nothing was found wrong: the next writer goes on behind them. Accepts NULL.
 */
void store_writer_free(struct store_writer *writer);

/* ---- points of blobs ---- */

/* A descriptor of a blob's points, which count as used now; -1 with *err (ENOENT: none). */
int store_get_points(struct store *store, const char *digest, struct error *err);

/* A file for points, and its publication when they are complete. Returns 0, or -1 with *err. */
int store_create_points(struct store *store, const char *digest, struct temp_file *ret,
                        struct error *err);
int store_publish_points(const char *digest, struct temp_file *file, struct error *err);

/* Remove points that may be damaged. Whether there were any. */
bool store_drop_points(struct store *store, const char *digest);

/* ---- images by reference, for "run" ---- */

/* The file name of an image: "sha256-HEX.sqsh". */
#define STORE_IMAGE_NAME_SIZE (IMAGE_DIGEST_SIZE + 5)

/*
 * The image that a reference (any text that tells platforms apart, too) stood for
 * when store_set_image was last called. Returns 1, the digest, and a descriptor of
 * the image, which counts as used now; 0 when there is none; -1 with *err.
 */
int store_find_image(struct store *store, const char *reference, char ret_digest[IMAGE_DIGEST_SIZE],
                     int *ret_fd, struct error *err);

/* The same by digest: a descriptor, or -1 with *err, whose code is ENOENT when there is none. */
int store_get_image(struct store *store, const char *digest, struct error *err);

/* Remember what a reference stands for. The image is there, or is published right after. */
int store_set_image(struct store *store, const char *reference, const char *digest,
                    struct error *err);

/* The name of the image's file below store_dir_fd, for whoever writes it. 0, or -1 (EINVAL). */
int store_image_name(const char *digest, char name[STORE_IMAGE_NAME_SIZE], struct error *err);
int store_dir_fd(const struct store *store);
const char *store_path(const struct store *store);

/* ---- what the cache holds ---- */

enum store_kind {
        STORE_BLOB,
        STORE_IMAGE,
        STORE_POINTS,
        STORE_PARTIAL, /* of a download that goes on, or that a later one can go on with */
};

struct store_item {
        char *name; /* of the file */
        enum store_kind kind;
        char digest[IMAGE_DIGEST_SIZE]; /* of the blob; of the image's manifest */
        uint64_t bytes;                 /* on the disk */
        int64_t used;                   /* last use, seconds since the epoch */
};

struct store_items {
        struct store_item *items; /* least recently used first */
        size_t count;
};

#define STORE_ITEMS_INIT                                                                           \
        {                                                                                          \
                .items = NULL                                                                      \
        }

void store_items_release(struct store_items *items);
#define auto_store_items auto_cleanup(store_items_release)

/* Everything that is in the cache. Returns 0, or -1 with *err. */
int store_scan(struct store *store, struct store_items *ret, struct error *err);

/*
 * Delete an item. Whoever has it open, as an import has what it will read and a
 * container its image, keeps it until he is done. A partial file in use is left
 * alone. Returns 1; 0 when it was in use or gone; -1 with *err.
 */
int store_remove(struct store *store, const struct store_item *item, struct error *err);

/* Read a blob and compare its digest. 1 when it is right, 0 when not, -1 with *err. */
int store_check_blob(struct store *store, const struct store_item *item, struct error *err);

/*
 * Check a blob by its digest and delete it if it is damaged. Returns 1 when it was; 0
 * when it is right or not there; -1 with *err, also for a damaged one in the site's cache.
 */
int store_drop_damaged(struct store *store, const char *digest, struct error *err);

/* 0 stands for no limit. */
struct store_limits {
        uint64_t bytes;  /* in total, on the disk */
        int64_t seconds; /* since the last use */
};

struct store_collected {
        uint64_t removed_bytes, kept_bytes;
        size_t removed, kept;
};

/* Delete what is over the limits, the least recently used first. Returns 0, or -1 with *err. */
int store_collect(struct store *store, const struct store_limits *limits,
                  struct store_collected *ret, struct error *err);

/* ---- one at a time ---- */

/* The right to make a file; see lease.c. Members are private. */
struct lease {
        int dir_fd; /* borrowed */
        char *name;
        int fd; /* of the lease's file; -1: not held */
        pthread_t thread; /* shows that we live */
        pthread_mutex_t lock;
        pthread_cond_t end;
        bool beating, ended;
};

#define LEASE_INIT                                                                                 \
        {                                                                                          \
                .dir_fd = -1, .fd = -1                                                             \
        }

/*
 * Take the right to make the file NAME in a directory, and wait while somebody else
 * has it, on this machine or on another one that shares the directory. Needs no
 * flock. Returns 0, or -1 with *err (the caller puts the directory in front). A lease
 * is not inherited by child processes, and is given up by lease_release alone.
 */
int lease_take(struct lease *lease, int dir_fd, const char *name, struct report *report,
               struct error *err);

/* Safe on an initialised struct, and after a failed lease_take. */
void lease_release(struct lease *lease);
#define auto_lease auto_cleanup(lease_release)
