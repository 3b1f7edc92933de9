/*
 * One logical GET: as many requests as it takes until the whole body has come.
 * Redirects are followed, challenges answered, failures repeated, broken bodies
 * resumed, and the next endpoint tried when one fails for good.
 *
 * Whom secrets are sent to is decided here. Authorization goes with a request
 * only while it leads to the origin where the transfer starts; a redirect that
 * leaves HTTPS is refused unless plain HTTP is allowed for the server it leads to. A
 * form, which is a secret, follows no redirect.
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
        TRANSFER_FOLLOWS, /* another transfer brings what comes next (ranges.h) */
        TRANSFER_ENDED,
};

struct transfer {
        /* Set by the caller. */
        const char *path; /* below the repository; or */
        const char *url;  /* absolute, with .authorization of its own (NULL: none) */
        const char *authorization;
        const char *form; /* sent by POST; NULL: GET */
        const char *accept;
        struct endpoint *endpoint; /* where path is, or on whose behalf url is asked */
        uint64_t size;             /* bytes; TRANSFER_SIZE_UNKNOWN */
        struct registry_blob *sink;
        bool is_part; /* of a blob that another transfer answers for: stays where it is sent */

        /* Set by the scheduler before each step: the bytes to ask for at once; 0: all. */
        uint64_t chunk;

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
        bool lone;                    /* a lane of it failed: it gets no more (ranges.h) */
        bool sink_failed;             /* the failure is not that of a server */
        bool ranged;                  /* the last body came as the range that was asked for */
        char *etag;                   /* of the first range; NULL: the server names none */
        struct strbuf problem;        /* body of an error response */
        struct http_request request;
};

/*
 * Begin (TRANSFER_WAITING), or go on after a request has finished. A server that has
 * nothing, or fails for good, is given up for the next endpoint. Returns 0, or -1 with
 * *err.
 */
int transfer_step(struct registry *registry, struct transfer *transfer, struct error *err);

/*
 * Run transfers until all have ended (schedule.c). Returns 0; or -1 with the first
 * *err, after the sinks of all others were told of it. .request keeps the last
 * response until transfer_release.
 */
int transfer_run(struct registry *registry, struct transfer *transfers, size_t count,
                 struct error *err);
void transfer_release(struct registry *registry, struct transfer *transfer);
