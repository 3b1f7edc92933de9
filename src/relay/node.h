/* What a node's parts share: upstream.c receives, server.c passes on, relay.c decides. */
#pragma once

#include <netdb.h>
#include <poll.h>
#include <stdbool.h>

#include "relay/replica.h"
#include "relay/link.h"
#include "relay/plan.h"
#include "relay/relay.h"

#define ADDRESS_LIMIT  4  /* addresses of a node that are tried */
#define CHILDREN_LIMIT 64 /* connections; only strangers and take-overs make more than two */

#define HANDSHAKE_TIME 5000 /* milliseconds for a connection to become one of ours */
#define TURN_SIZE      (4u << 20) /* bytes for one connection until others have their turn */

enum node_state {
        NODE_WAITING, /* for an image */
        NODE_COMING,  /* it is being received */
        NODE_READY,   /* it is in the cache */
        NODE_FAILED,
        NODE_ABSENT,
};

/* A node that asks us, or a stranger. */
struct child {
        struct link link;
        enum { CHILD_HELLO, CHILD_PROOF, CHILD_FRAMES } phase;
        int64_t deadline, last_sent; /* milliseconds */
        bool told_digest, told_offer, told_end, told_none, wants;
        uint64_t offset; /* of what is sent next */
        uint32_t piece;  /* bytes of a WIRE_DATA that are still to be sent */
};

struct upstream {
        struct link link;
        enum { UP_OFF, UP_PAUSE, UP_CONNECT, UP_ANSWER, UP_FRAMES } phase;
        uint32_t candidates[PLAN_CANDIDATES];
        bool dead[PLAN_CANDIDATES]; /* not to be asked again */
        size_t count, current;
        struct sockaddr_storage addresses[ADDRESS_LIMIT];
        size_t address_count, attempt; /* attempts: all ports of all addresses */
        int64_t deadline, patience;    /* of the phase, and of all */
        int64_t pause;                 /* the last one, in milliseconds */
        int64_t parent_only;           /* until then no other candidate is asked */
        uint64_t piece;                /* bytes of a WIRE_DATA that are still to come */
        bool failed;                   /* some candidate did not answer as it should */
        struct error why;              /* the last failure */
};

struct node {
        const struct relay_place *place;
        struct store *store;
        struct report *report;
        int control, listener;
        uint16_t port;
        unsigned char key[WIRE_KEY_SIZE];
        struct sha256 *sha; /* for keys and MACs */
        enum node_state state;
        char digest[IMAGE_DIGEST_SIZE]; /* of the image; "": not known yet */
        struct replica replica;
        struct child *children;
        size_t child_count;
        uint32_t heard;   /* how many of those that ask us first have done so */
        int64_t started;
        bool ending;
        struct upstream upstream;
};

/* Tell the caller. A caller who has gone shows at the next poll. */
void node_tell(struct node *node, enum step_kind kind, const char *text);

/* ---- upstream.c ---- */

void upstream_begin(struct node *node);
void upstream_end(struct node *node);

/* What to poll for, and how long at most, in milliseconds. */
struct pollfd upstream_poll(const struct node *node, int *timeout);

/* Go on as far as that is possible. */
void upstream_advance(struct node *node, short events);

/* ---- server.c ---- */

/* Listen. Without a port, no other node is served. */
void server_begin(struct node *node);
void server_end(struct node *node);
void server_accept(struct node *node);

/* Whether a child waits for the digest of all bytes. */
bool server_wants_sum(const struct node *node);

/* Whether nobody is, or is going to be, served. */
bool server_is_done(const struct node *node);

/* The image that was being received will not be that one: whoever has parts of it goes. */
void server_drop_readers(struct node *node);

struct pollfd server_poll(const struct node *node, size_t child);

/* Go on with all children. events: of those that were polled. */
void server_advance(struct node *node, const struct pollfd *events, size_t count);
