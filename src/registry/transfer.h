/*
 * One logical GET: as many requests as it takes until the whole body has come.
 * Redirects are followed, challenges answered, failures repeated, broken bodies
 * resumed.
 *
 * Whom secrets are sent to is decided here. Authorization goes with a request
 * only while it leads to the origin where the transfer starts; a redirect that
 * leaves HTTPS is refused unless plain HTTP is allowed.
 */
#pragma once

#include "registry/session.h"
#include "util/strbuf.h"

#define TRANSFER_REDIRECT_LIMIT 10u
#define TRANSFER_PROBLEM_LIMIT  (64u << 10) /* bytes of an error response */

/* Times that a transfer may be challenged without one success in between. */
#define TRANSFER_CHALLENGE_LIMIT 3u

/* How long a blob that its sink puts off is left alone, in milliseconds. */
#define TRANSFER_PUT_OFF_MS 100

/* Bytes that a try must bring for the count of tries to start over. */
#define TRANSFER_PROGRESS (1u << 20)

#define TRANSFER_SIZE_UNKNOWN UINT64_MAX

enum transfer_state {
        TRANSFER_WAITING, /* for .due */
        TRANSFER_ACTIVE,  /* a request is under way */
        TRANSFER_ENDED,
};

struct transfer {
        /* Set by the caller. */
        const char *path; /* below the repository; or */
        const char *url;  /* absolute, with .authorization of its own (NULL: none) */
        const char *authorization;
        const char *accept;
        uint64_t size; /* bytes; TRANSFER_SIZE_UNKNOWN */
        struct registry_blob *sink;

        enum transfer_state state;
        int64_t due;                  /* CLOCK_MONOTONIC in milliseconds */
        char *current;                /* where the next request goes; NULL: to the start */
        unsigned int redirects;       /* that led to current */
        unsigned int tries;           /* repetitions since there was progress */
        unsigned int auth_generation; /* of the header that was sent */
        unsigned int challenges;      /* since the last success */
        bool answered;                /* one of them with a new header */
        uint64_t have, had;           /* bytes in the sink: now, and before this try */
        uint64_t skip;                /* bytes of this response that the sink has already */
        bool body_begun;              /* skip is known */
        bool whole;                   /* the server refuses ranges */
        struct strbuf problem;        /* body of an error response */
        struct http_request request;
};

/*
 * Run transfers until all have ended. Returns 0; or -1 with the first *err, after
 * the sinks of all others were told of it. .request keeps the last response
 * until transfer_release.
 */
int transfer_run(struct registry *registry, struct transfer *transfers, size_t count,
                 struct error *err);
void transfer_release(struct registry *registry, struct transfer *transfer);
