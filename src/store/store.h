/*
 * store/: files that outlive a command: the cache of blobs as they came from a
 * registry, each under its digest.
 *
 * Layout of ENROOT_CACHE_PATH:
 *      sha256-HEX       a complete, verified blob
 *      .sha256-HEX.lock lock of whoever fetches it (flock), removed afterwards
 *
 * A blob gets its name only after its digest matched and it is on disk, so a name
 * that exists can be used without hashing again.
 */
#pragma once

#include <stdint.h>

#include "image/image.h"
#include "util/error.h"

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
 * A descriptor of a complete blob; -1 with *err, whose code is ENOENT when the cache
 * has none of that digest and size.
 */
int store_get(struct store *store, const char *digest, uint64_t size, struct error *err);

/* A blob on its way into the store. Used by one writer and any number of readers. */
struct store_writer;

/*
 * Become the one writer of a blob on this machine.
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

/* Release; unless committed, the bytes are gone. Accepts NULL. */
void store_writer_free(struct store_writer *writer);
