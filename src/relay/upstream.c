/*
 * Receiving: from the nodes that come before this one. It asks one after the other until one
 * proves that it is of the step, and then stays with that one; when it goes, the next one goes
 * on where it stopped, and END says whether both had the same bytes.
 */
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <unistd.h>

#include "relay/hostlist.h"
#include "relay/node.h"
#include "util/clock.h"

/* Milliseconds. */
#define LOSS_PATIENCE   3000   /* for another one, when one has gone */
#define CONNECT_TIME    3000   /* a machine that drops packets does not answer */
#define FIRST_PAUSE     5      /* between two looks at the same node: nodes start as one */
#define LAST_PAUSE      200    /* after some time of it */
#define SILENCE_TIME    300000 /* of a node that is there, but does nothing any more */

#define BUFFER_SIZE (256u << 10)

static void pause_until_next(struct upstream *up)
{
        link_close(&up->link);
        up->phase = UP_PAUSE;
        up->pause = up->pause == 0 ? FIRST_PAUSE : up->pause * 2;
        if (up->pause > LAST_PAUSE)
                up->pause = LAST_PAUSE;
        up->deadline = clock_ms() + up->pause;
}

/* No other node has it for us: this one imports. */
static void give_up(struct node *node)
{
        struct upstream *up = &node->upstream;
        char name[HOSTLIST_NAME_SIZE] = "another node";
        struct error ignored = ERROR_INIT;
        char line[STEP_TEXT_SIZE];

        upstream_end(node);
        if (node->state == NODE_COMING) {
                server_drop_readers(node);
                replica_release(&node->replica);
                node->state = NODE_WAITING;
        }
        (void)hostlist_name(node->place->nodes, up->candidates[0], name, &ignored);
        (void)snprintf(line, sizeof(line),
                       "couldn't get the image from node %s: %s: importing it here", name,
                       *up->why.message ? up->why.message : "no answer");
        if (node->state == NODE_ABSENT)
                return;
        if (up->failed)
                node_tell(node, STEP_INFO, line);
        node_tell(node, STEP_IMPORT, node->digest);
}

/* ---- whom to ask ---- */

static bool all_dead(const struct upstream *up)
{
        for (size_t i = 0; i < up->count; i++)
                if (!up->dead[i])
                        return false;
        return true;
}

/* After a look at a candidate that was of no use. */
static void choose_next(struct node *node)
{
        struct upstream *up = &node->upstream;
        int64_t now = clock_ms();

        if (all_dead(up) || now > up->patience) {
                give_up(node);
                return;
        }
        if (up->dead[0] || now > up->parent_only) {
                do
                        up->current = (up->current + 1) % up->count;
                while (up->dead[up->current]);
        }
        pause_until_next(up);
}

/* The candidate that we had is of no use any more. */
static void forget_current(struct node *node, const struct error *why)
{
        struct upstream *up = &node->upstream;

        up->dead[up->current] = true;
        up->why = *why;
        up->failed = true;
        up->patience = clock_ms() + LOSS_PATIENCE;
        choose_next(node);
}

/* ---- connecting ---- */

static int look_up(struct node *node, struct error *err)
{
        const struct addrinfo hints = { .ai_socktype = SOCK_STREAM };
        struct upstream *up = &node->upstream;
        struct addrinfo *list = NULL;
        char name[HOSTLIST_NAME_SIZE];
        int code;

        up->address_count = 0;
        if (hostlist_name(node->place->nodes, up->candidates[up->current], name, err) < 0)
                return -1;
        code = getaddrinfo(name, NULL, &hints, &list);
        if (code != 0)
                return error_set(err, EHOSTUNREACH, "%s", gai_strerror(code));
        for (struct addrinfo *one = list; one && up->address_count < ADDRESS_LIMIT;
             one = one->ai_next)
                if (one->ai_addrlen <= sizeof(*up->addresses))
                        memcpy(&up->addresses[up->address_count++], one->ai_addr,
                               one->ai_addrlen);
        freeaddrinfo(list);
        return 0;
}

/* Ask the next port, or begin again with another candidate. */
static void connect_next(struct node *node)
{
        struct upstream *up = &node->upstream;
        const struct relay_place *place = node->place;
        struct sockaddr_storage *address;
        uint32_t server = up->candidates[up->current];
        uint16_t port;
        socklen_t size;

        link_close(&up->link);
        if (up->attempt >= up->address_count * PLAN_PORTS) {
                up->failed = true;
                choose_next(node);
                return;
        }
        address = &up->addresses[up->attempt / PLAN_PORTS];
        port = plan_port(node->sha, node->key, server, (uint32_t)(up->attempt % PLAN_PORTS),
                         place->first_port, place->last_port);
        up->attempt++;
        size = address->ss_family == AF_INET6 ? sizeof(struct sockaddr_in6)
                                              : sizeof(struct sockaddr_in);
        if (address->ss_family == AF_INET6)
                ((struct sockaddr_in6 *)address)->sin6_port = htons(port);
        else
                ((struct sockaddr_in *)address)->sin_port = htons(port);
        up->link.ends = (struct wire_ends){ .client = place->node, .server = server, .port = port };
        up->link.fd = socket(address->ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        up->phase = UP_CONNECT;
        up->deadline = clock_ms() + CONNECT_TIME;
        if (up->link.fd >= 0 && (connect(up->link.fd, (struct sockaddr *)address, size) == 0 ||
                                 errno == EINPROGRESS))
                return;
        (void)error_set(&up->why, errno, "%s", strerror(errno));
        up->deadline = 0; /* the loop goes on with the next one */
}

static void begin_round(struct node *node)
{
        struct upstream *up = &node->upstream;

        up->attempt = 0;
        if (look_up(node, &up->why) < 0)
                up->address_count = 0;
        connect_next(node);
}

/* ---- the handshake ---- */

static int say_hello(struct node *node, struct error *err)
{
        struct upstream *up = &node->upstream;
        struct wire_ends *ends = &up->link.ends;
        unsigned char hello[WIRE_HELLO_SIZE];
        socklen_t size = sizeof(int);
        int code = 0;

        if (getsockopt(up->link.fd, SOL_SOCKET, SO_ERROR, &code, &size) < 0 || code != 0)
                return error_set(err, code, "%s", strerror(code));
        if (getrandom(ends->client_nonce, sizeof(ends->client_nonce), 0) !=
            (ssize_t)sizeof(ends->client_nonce))
                return error_errno(err, "getrandom");
        link_tune(up->link.fd);
        wire_print_hello(ends, hello);
        up->phase = UP_ANSWER;
        up->deadline = clock_ms() + HANDSHAKE_TIME;
        return link_queue(&up->link, hello, sizeof(hello), err);
}

static int take_answer(struct node *node, struct error *err)
{
        struct upstream *up = &node->upstream;
        unsigned char proof[WIRE_PROOF_SIZE];
        int result = link_need(&up->link, WIRE_ANSWER_SIZE, err);

        if (result <= 0)
                return result;
        if (wire_parse_answer(node->sha, node->key, up->link.in, &up->link.ends, err) < 0)
                return -1;
        link_drop(&up->link);
        wire_proof(node->sha, node->key, &up->link.ends, proof);
        if (link_queue(&up->link, proof, sizeof(proof), err) < 0)
                return -1;
        link_begin_session(&up->link, node->sha, node->key, false);
        up->phase = UP_FRAMES;
        up->deadline = clock_ms() + SILENCE_TIME;
        up->piece = 0;
        return 0;
}

/* ---- the image ---- */

static int answer(struct node *node, enum wire_kind kind, uint64_t number, struct error *err)
{
        const struct wire_frame frame = { .kind = kind, .number = number };
        struct upstream *up = &node->upstream;

        if (link_send(&up->link, node->sha, &frame, err) < 0)
                return -1;
        return link_flush(&up->link, err);
}

static void become_ready(struct node *node)
{
        struct error ignored = ERROR_INIT;

        node->state = NODE_READY;
        (void)answer(node, WIRE_DONE, 0, &ignored);
        upstream_end(node);
        node_tell(node, STEP_IMAGE, node->digest);
}

/* What others of the step have is what all of it gets. */
static int take_digest(struct node *node, const char *digest, struct error *err)
{
        if (*node->digest && strcmp(node->digest, digest) != 0)
                return error_set(err, ESTALE, "it has another image than the step");
        memcpy(node->digest, digest, sizeof(node->digest));
        return 0;
}

/* The cache's own disk does not do: nobody else can help. */
static int fail_here(struct node *node, const struct error *why)
{
        node->upstream.why = *why;
        node->upstream.failed = true;
        give_up(node);
        return 0;
}

static int take_offer(struct node *node, const struct wire_frame *frame, struct error *err)
{
        struct replica *replica = &node->replica;
        struct error why = ERROR_INIT;
        int found;

        if (take_digest(node, frame->digest, err) < 0)
                return -1;
        if (node->state == NODE_COMING && replica->size == frame->number)
                return answer(node, WIRE_WANT, replica->have, err);
        server_drop_readers(node);
        found = replica_open(replica, node->store, node->digest, &why);
        if (found > 0) {
                become_ready(node);
                return 0;
        }
        if (found < 0 || replica_begin(replica, node->store, node->digest, frame->number, &why) < 0)
                return fail_here(node, &why);
        node->state = NODE_COMING;
        node->report->progress.bytes_total = frame->number;
        return answer(node, WIRE_WANT, 0, err);
}

static int take_end(struct node *node, const struct wire_frame *frame, struct error *err)
{
        struct error why = ERROR_INIT;

        if (node->state != NODE_COMING)
                return error_set(err, EPROTO, "unexpected frame");
        if (replica_publish(&node->replica, node->digest, frame->digest, &why) < 0)
                return fail_here(node, &why);
        become_ready(node);
        return 0;
}

static int take_frame(struct node *node, const struct wire_frame *frame, struct error *err)
{
        struct upstream *up = &node->upstream;

        if (node->state == NODE_ABSENT) {
                /* The node that would wait for us knows now that it need not. */
                (void)answer(node, WIRE_DONE, 0, err);
                upstream_end(node);
                return 0;
        }
        switch (frame->kind) {
        case WIRE_BEAT:
                return 0;
        case WIRE_RESOLVED:
                return take_digest(node, frame->digest, err);
        case WIRE_OFFER:
                return take_offer(node, frame, err);
        case WIRE_DATA:
                if (node->state != NODE_COMING)
                        break;
                up->piece = frame->number;
                return 0;
        case WIRE_END:
                return take_end(node, frame, err);
        case WIRE_FAILED:
                node->state = NODE_FAILED;
                upstream_end(node);
                node_tell(node, STEP_FAILED, "");
                return 0;
        case WIRE_ABSENT:
                /* No failure: the node has a container of that name already. */
                up->dead[up->current] = true;
                up->patience = clock_ms() + LOSS_PATIENCE;
                choose_next(node);
                return 0;
        default:
                break;
        }
        return error_set(err, EPROTO, "unexpected frame");
}

/* Read the bytes of a piece. Returns how many there were, 0 for none now, -1 with *err. */
static ssize_t take_piece(struct node *node, struct error *err)
{
        static char buffer[BUFFER_SIZE];
        struct upstream *up = &node->upstream;
        struct error why = ERROR_INIT;
        ssize_t got = link_read(&up->link, buffer,
                                up->piece < BUFFER_SIZE ? up->piece : BUFFER_SIZE, err);

        if (got <= 0)
                return got;
        up->piece -= (uint64_t)got;
        if (node->replica.size - node->replica.have < (uint64_t)got)
                return error_set(err, EPROTO, "more bytes than were promised");
        if (replica_append(&node->replica, buffer, (size_t)got, &why) < 0)
                return fail_here(node, &why);
        node->report->progress.bytes_done = node->replica.have;
        return got;
}

static int take_frames(struct node *node, struct error *err)
{
        struct upstream *up = &node->upstream;
        uint64_t turn = 0;

        while (up->phase == UP_FRAMES && turn < TURN_SIZE) {
                struct wire_frame frame;
                ssize_t got;

                up->deadline = clock_ms() + SILENCE_TIME;
                if (up->piece > 0) {
                        got = take_piece(node, err);
                        turn += got > 0 ? (uint64_t)got : 0;
                } else {
                        got = link_receive(&up->link, node->sha, &frame, err);
                        if (got > 0 && take_frame(node, &frame, err) < 0)
                                return -1;
                }
                if (got <= 0)
                        return (int)got;
        }
        return 0;
}

/* ---- the loop's questions ---- */

void upstream_begin(struct node *node)
{
        struct upstream *up = &node->upstream;

        up->count = plan_candidates(node->place->node, up->candidates);
        up->patience = node->started + node->place->patience;
        up->parent_only = node->started + node->place->patience / 3;
        begin_round(node);
}

void upstream_end(struct node *node)
{
        link_close(&node->upstream.link);
        node->upstream.phase = UP_OFF;
}

struct pollfd upstream_poll(const struct node *node, int *timeout)
{
        const struct upstream *up = &node->upstream;
        int64_t left = up->deadline - clock_ms();
        bool writes = up->phase == UP_CONNECT || up->link.out_length > 0;

        if (up->phase != UP_OFF && left < *timeout)
                *timeout = left > 0 ? (int)left : 0;
        return (struct pollfd){ .fd = up->link.fd,
                                .events = (short)(POLLIN | (writes ? POLLOUT : 0)) };
}

/* One step of the phase. Returns 0, or -1 with *err. */
static int advance(struct node *node, struct error *err)
{
        struct upstream *up = &node->upstream;

        if (up->phase == UP_CONNECT && say_hello(node, err) < 0)
                return -1;
        if (up->phase == UP_ANSWER && take_answer(node, err) < 0)
                return -1;
        if (up->phase == UP_FRAMES && take_frames(node, err) < 0)
                return -1;
        return link_flush(&up->link, err);
}

void upstream_advance(struct node *node, short events)
{
        struct upstream *up = &node->upstream;
        struct error err = ERROR_INIT;

        if (up->phase == UP_OFF)
                return;
        if (events && up->phase != UP_PAUSE && advance(node, &err) < 0) {
                if (up->phase == UP_FRAMES) {
                        forget_current(node, &err);
                        return;
                }
                up->why = err;
                connect_next(node);
                return;
        }
        if (up->phase == UP_OFF || clock_ms() < up->deadline)
                return;
        if (up->phase == UP_PAUSE) {
                begin_round(node);
        } else if (up->phase == UP_FRAMES) {
                (void)error_set(&err, ETIMEDOUT, "%s", strerror(ETIMEDOUT));
                forget_current(node, &err);
        } else {
                if (up->deadline > 0)
                        (void)error_set(&up->why, ETIMEDOUT, "%s", strerror(ETIMEDOUT));
                connect_next(node);
        }
}
