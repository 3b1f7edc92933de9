/*
 * Several requests at once for one large blob, where there are connections to spare:
 * content networks give a client a rate per connection.
 *
 * The blob's own transfer, the head, feeds the sink in order. Lanes fetch the ranges
 * behind it, each into memory of its own until the head has come to where the lane
 * began; from then on the lane feeds the sink itself and the head follows it. A lane
 * that fails is dropped and the head fetches what it would have brought, so lanes can
 * make an import faster but not fail.
 *
 * Lanes are opened only after the head got a range exactly as it had asked for (206,
 * Content-Range), and they compare the ETag with the head's.
 */
#pragma once

#include "registry/transfer.h"

#define RANGES_CHUNK      (4u << 20)  /* bytes of a lane, and of a head that has lanes */
#define RANGES_CHUNK_LONE (64u << 20) /* bytes of a head without: after so many, it may get some   \
                                       */
#define RANGES_BLOB_SIZE (32u << 20)  /* smaller blobs are fetched with one request */

/* Lanes of a session, which bounds what they hold in memory: 32 MiB. */
#define RANGES_LANES 8u

struct lane {
        struct registry_blob sink; /* of .transfer */
        struct transfer transfer;
        struct transfer *head; /* NULL: this lane is free */
        uint64_t start, end;   /* bytes of the blob */
        uint64_t have;         /* position behind the last byte that came */
        unsigned char *ahead;  /* RANGES_CHUNK bytes, allocated on first use */
        size_t held;           /* bytes in it */
        bool direct;           /* the head follows */
};

struct ranges {
        struct registry *registry;
        struct lane lanes[RANGES_LANES];
};

/*
 * Decide how much a head's next request asks for, or let it follow a lane that has
 * come there before. To be called before a step of a waiting transfer; afterwards it
 * may be TRANSFER_FOLLOWS, or TRANSFER_WAITING with more bytes than before.
 *
 * spare  whether there will be connections for lanes
 *
 * Returns 0, or -1 with *err (the sink's).
 */
int ranges_prepare(struct ranges *ranges, struct transfer *head, bool spare, struct error *err);

/*
 * Open a lane where one is of use. Returns 1 when one was opened (its .transfer is
 * waiting), 0 when none is needed, or -1 with *err.
 */
int ranges_open(struct ranges *ranges, struct transfer *transfers, size_t count, struct error *err);

/*
 * After a lane's step failed with *err: drop the lane; its head, which goes on by itself,
 * gets no others. Returns 0; or -1 when it was the sink of the blob that failed.
 */
int ranges_drop(struct ranges *ranges, struct lane *lane, struct error *err);

/* Drop lanes whose head has ended or is beyond them. */
void ranges_tidy(struct ranges *ranges);
void ranges_release(struct ranges *ranges);
