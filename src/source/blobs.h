/*
 * A set of blobs on their way from a registry into the cache, readable while they
 * arrive.
 *
 * One thread fetches (it calls registry_fetch on the sinks), any number read. What
 * both look at is under .lock; .changed is signalled when a blob has more bytes or
 * is complete, and when the fetch has failed, which is the end of all blobs.
 */
#pragma once

#include <pthread.h>
#include <stdbool.h>

#include "registry/registry.h"
#include "store/store.h"
#include "util/stream.h"

enum blob_state {
        BLOB_MISSING,  /* nobody has begun, or another process is at it */
        BLOB_GROWING,  /* .writer takes it */
        BLOB_VERIFIED, /* complete and readable; on its way to the disk */
        BLOB_READY,    /* in the cache */
};

struct blobs;

struct blob {
        struct blobs *set;
        const struct image_descriptor *descriptor;
        enum blob_state state;
        int fd; /* of a ready blob, which stays readable if it is removed from the cache; or -1 */
        struct store_writer *writer; /* NULL unless growing (the fetching thread's) or verified */
        uint64_t readable;           /* bytes in the file of a growing or verified blob */
        bool put_off;                /* another process was at it; the user knows */
};

struct blobs {
        struct store *store;
        struct report *report; /* whose counters go along */
        struct blob *items;
        size_t count;
        bool fetched;         /* no further blob will be verified */
        struct error failure; /* the first; .code is 0 while there is none */
        pthread_mutex_t lock;
        pthread_cond_t changed;
};

/*
 * The blobs of the descriptors, each digest once. Those that the cache has are
 * ready at once. descriptors must outlive the set.
 */
int blobs_init(struct blobs *set, struct store *store, struct report *report,
               const struct image_descriptor *descriptors, size_t count, struct error *err);

/* No stream and no fetch may be left. */
void blobs_release(struct blobs *set);

struct blob *blobs_find(struct blobs *set, const char *digest);

/* Missing blobs and their bytes. */
size_t blobs_missing(const struct blobs *set, uint64_t *ret_bytes);

/*
 * Fetch what is missing, the last item first. Returns 0 once every blob is ready,
 * or -1 with .failure.
 */
int blobs_fetch(struct blobs *set, struct registry *registry);

/* A reader of a blob, which waits for bytes that have not come. NULL with *err on failure. */
struct stream *blob_stream(struct blob *blob, struct error *err);
