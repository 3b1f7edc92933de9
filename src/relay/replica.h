/*
 * The image that a node has, or is receiving: a file of the cache, which gets its name only
 * when every byte is there and its digest is right.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "image/image.h"
#include "store/store.h"
#include "util/error.h"
#include "util/sha256.h"
#include "util/temp_file.h"

struct replica {
        struct temp_file temp; /* while it is received */
        int fd;                /* of a file that the cache has; else -1 */
        uint64_t size, have;   /* bytes: all, and those that can be read */
        struct sha256 *sha;    /* of the bytes before hashed */
        uint64_t hashed;
        bool summed;
        char sum[IMAGE_DIGEST_SIZE]; /* of all bytes, when summed */
};

#define REPLICA_INIT                                                                               \
        {                                                                                          \
                .temp = TEMP_FILE_INIT, .fd = -1,                                                  \
        }

void replica_release(struct replica *replica);

/* Where to read what it has. */
int replica_fd(const struct replica *replica);

/* Take the image that the cache has. Returns 1; 0 when it has none; -1 with *err. */
int replica_open(struct replica *replica, struct store *store, const char *digest,
                 struct error *err);

/* Begin to receive. What was begun before is dropped. Returns 0, or -1 with *err. */
int replica_begin(struct replica *replica, struct store *store, const char *digest, uint64_t size,
                  struct error *err);

/* Take the next bytes. Returns 0; -1 with *err: EMSGSIZE for more than was promised. */
int replica_append(struct replica *replica, const void *data, size_t size, struct error *err);

/*
 * Publish it under the image's digest when all bytes are there and sum is theirs. Returns 0; -1
 * with *err: EMSGSIZE and EBADMSG for others.
 */
int replica_publish(struct replica *replica, const char *digest, const char *sum,
                    struct error *err);

/* Hash some more of a file that the cache had. Returns 0, or -1 with *err. */
int replica_sum_some(struct replica *replica, struct error *err);
