/*
 * Passing on: to the nodes that come after this one. A connection gets nothing before it has
 * proved the step's key; what is sent then follows from the node's state alone, so a child
 * that comes late is told the same as one that waited.
 */
#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/random.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <unistd.h>

#include "relay/node.h"
#include "util/clock.h"

#define BEAT_TIME  5000  /* milliseconds of silence before a sign of life */
#define QUEUE_SIZE 64    /* of listen(2) */

/* ---- listening ---- */

static int try_port(int family, uint16_t port)
{
        struct sockaddr_in6 six = { .sin6_family = AF_INET6, .sin6_port = htons(port) };
        struct sockaddr_in four = { .sin_family = AF_INET, .sin_port = htons(port) };
        const struct sockaddr *address = family == AF_INET6 ? (struct sockaddr *)&six
                                                            : (struct sockaddr *)&four;
        socklen_t size = family == AF_INET6 ? sizeof(six) : sizeof(four);
        auto_close int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        int yes = 1, no = 0;

        if (fd < 0)
                return -1;
        (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes));
        if (family == AF_INET6)
                (void)setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &no, sizeof(no));
        if (bind(fd, address, size) < 0 || listen(fd, QUEUE_SIZE) < 0)
                return -1;
        return TAKE_FD(fd);
}

void server_begin(struct node *node)
{
        const struct relay_place *place = node->place;

        node->children = calloc(CHILDREN_LIMIT, sizeof(*node->children));
        for (uint32_t i = 0; node->children && node->listener < 0 && i < PLAN_PORTS; i++) {
                node->port = plan_port(node->sha, node->key, place->node, i, place->first_port,
                                       place->last_port);
                node->listener = try_port(AF_INET6, node->port);
                /* A kernel without IPv6. */
                if (node->listener < 0 && errno != EADDRINUSE)
                        node->listener = try_port(AF_INET, node->port);
        }
}

static void drop(struct node *node, size_t i)
{
        link_close(&node->children[i].link);
        node->child_count--;
        memmove(node->children + i, node->children + i + 1,
                (node->child_count - i) * sizeof(*node->children));
}

void server_end(struct node *node)
{
        while (node->child_count > 0)
                drop(node, 0);
        free(TAKE_PTR(node->children));
        if (node->listener >= 0)
                (void)close(TAKE_FD(node->listener));
}

/* Strangers cannot keep a place for long: the first of them goes. */
static void make_room(struct node *node)
{
        for (size_t i = 0; node->child_count == CHILDREN_LIMIT && i < node->child_count; i++)
                if (node->children[i].phase != CHILD_FRAMES)
                        drop(node, i);
}

void server_accept(struct node *node)
{
        auto_close int fd = accept4(node->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
        struct child *child;

        if (fd < 0)
                return;
        make_room(node);
        if (node->child_count == CHILDREN_LIMIT)
                return;
        link_tune(fd);
        child = &node->children[node->child_count++];
        *child = (struct child){ .link = LINK_INIT, .deadline = clock_ms() + HANDSHAKE_TIME };
        child->link.fd = TAKE_FD(fd);
}

/* ---- what a child says ---- */

static int answer_hello(struct node *node, struct child *child, struct error *err)
{
        struct wire_ends *ends = &child->link.ends;
        unsigned char answer[WIRE_ANSWER_SIZE];

        if (wire_parse_hello(child->link.in, ends, err) < 0)
                return -1;
        if (ends->server != node->place->node || ends->client >= node->place->node_count ||
            ends->client <= node->place->node)
                return error_set(err, EPROTO, "it looks for another node");
        if (getrandom(ends->server_nonce, sizeof(ends->server_nonce), 0) !=
            (ssize_t)sizeof(ends->server_nonce))
                return error_errno(err, "getrandom");
        ends->port = node->port;
        wire_print_answer(node->sha, node->key, ends, answer);
        link_drop(&child->link);
        child->phase = CHILD_PROOF;
        return link_queue(&child->link, answer, sizeof(answer), err);
}

static int take_proof(struct node *node, struct child *child, struct error *err)
{
        const struct relay_place *place = node->place;
        const struct wire_ends *ends = &child->link.ends;
        unsigned char expected[WIRE_PROOF_SIZE];
        uint32_t candidates[PLAN_CANDIDATES];

        wire_proof(node->sha, node->key, ends, expected);
        if (!sha256_equal(expected, child->link.in))
                return error_set(err, EACCES, "not a node of this step");
        link_drop(&child->link);
        link_begin_session(&child->link, node->sha, node->key, true);
        child->phase = CHILD_FRAMES;
        if (plan_candidates(ends->client, candidates) > 0 && candidates[0] == place->node)
                node->heard++;
        return 0;
}

static int take_frame(struct node *node, struct child *child, const struct wire_frame *frame,
                      struct error *err)
{
        if (frame->kind == WIRE_DONE)
                return error_set(err, 0, "done");
        if (frame->kind != WIRE_WANT || child->wants || !child->told_offer ||
            frame->number > node->replica.size)
                return error_set(err, EPROTO, "unexpected frame");
        child->wants = true;
        child->offset = frame->number;
        return 0;
}

static int hear(struct node *node, struct child *child, struct error *err)
{
        struct wire_frame frame;
        int result;

        if (child->phase == CHILD_HELLO) {
                result = link_need(&child->link, WIRE_HELLO_SIZE, err);
                if (result <= 0 || answer_hello(node, child, err) < 0)
                        return result <= 0 ? result : -1;
        }
        if (child->phase == CHILD_PROOF) {
                result = link_need(&child->link, WIRE_PROOF_SIZE, err);
                if (result <= 0 || take_proof(node, child, err) < 0)
                        return result <= 0 ? result : -1;
        }
        while ((result = link_receive(&child->link, node->sha, &frame, err)) > 0)
                if (take_frame(node, child, &frame, err) < 0)
                        return -1;
        return result;
}

/* ---- what a child is told ---- */

static int tell(struct node *node, struct child *child, enum wire_kind kind, uint64_t number,
                const char *digest, struct error *err)
{
        struct wire_frame frame = { .kind = kind, .number = number };

        (void)snprintf(frame.digest, sizeof(frame.digest), "%s", digest);
        child->last_sent = clock_ms();
        return link_send(&child->link, node->sha, &frame, err);
}

/* Queue what follows from the node's state. */
static int tell_state(struct node *node, struct child *child, struct error *err)
{
        const struct replica *replica = &node->replica;
        bool has = node->state == NODE_COMING || node->state == NODE_READY;

        if ((node->state == NODE_FAILED || node->state == NODE_ABSENT) && !child->told_none) {
                child->told_none = true;
                return tell(node, child, node->state == NODE_FAILED ? WIRE_FAILED : WIRE_ABSENT, 0,
                            "", err);
        }
        if (*node->digest && !child->told_digest) {
                child->told_digest = true;
                if (tell(node, child, WIRE_RESOLVED, 0, node->digest, err) < 0)
                        return -1;
        }
        if (has && !child->told_offer) {
                child->told_offer = true;
                return tell(node, child, WIRE_OFFER, replica->size, node->digest, err);
        }
        if (node->state == NODE_READY && child->wants && child->offset == replica->size &&
            replica->summed && !child->told_end) {
                child->told_end = true;
                return tell(node, child, WIRE_END, 0, replica->sum, err);
        }
        if (clock_ms() - child->last_sent > BEAT_TIME)
                return tell(node, child, WIRE_BEAT, 0, "", err);
        return 0;
}

/* Send the rest of a piece. Returns 1 when all of it is sent, 0 when it waits, -1 with *err. */
static int send_piece(struct node *node, struct child *child, struct error *err)
{
        while (child->piece > 0) {
                off_t offset = (off_t)child->offset;
                ssize_t sent = sendfile(child->link.fd, replica_fd(&node->replica), &offset,
                                        child->piece);

                if (sent < 0 && (errno == EAGAIN || errno == EINTR))
                        return 0;
                if (sent <= 0)
                        return error_errno(err, "sending the image");
                child->offset += (uint64_t)sent;
                child->piece -= (uint32_t)sent;
                child->last_sent = clock_ms();
        }
        return 1;
}

static int begin_piece(struct node *node, struct child *child, struct error *err)
{
        uint64_t rest = node->replica.have - child->offset;
        unsigned char head[WIRE_HEAD_SIZE];

        child->piece = rest < WIRE_DATA_LIMIT ? (uint32_t)rest : WIRE_DATA_LIMIT;
        wire_print_data(child->piece, head);
        return link_queue(&child->link, head, sizeof(head), err);
}

static int speak(struct node *node, struct child *child, struct error *err)
{
        for (uint32_t sent = 0; sent < TURN_SIZE; sent += WIRE_DATA_LIMIT) {
                int result;

                if (child->piece == 0 && child->phase == CHILD_FRAMES &&
                    tell_state(node, child, err) < 0)
                        return -1;
                if (link_flush(&child->link, err) < 0)
                        return -1;
                if (child->link.out_length > 0)
                        return 0;
                result = send_piece(node, child, err);
                if (result <= 0)
                        return result;
                if (!child->wants || child->offset >= node->replica.have)
                        return 0;
                if (begin_piece(node, child, err) < 0)
                        return -1;
        }
        return 0;
}

/* ---- the loop's questions ---- */

bool server_wants_sum(const struct node *node)
{
        for (size_t i = 0; i < node->child_count; i++)
                if (node->children[i].wants)
                        return true;
        return false;
}

bool server_is_done(const struct node *node)
{
        uint32_t expected = plan_children(node->place->node, node->place->node_count);

        if (node->listener < 0 || node->state == NODE_WAITING || node->state == NODE_COMING)
                return true;
        if (node->upstream.phase != UP_OFF)
                return false;
        for (size_t i = 0; i < node->child_count; i++)
                if (node->children[i].phase == CHILD_FRAMES)
                        return false;
        return node->heard >= expected || clock_ms() - node->started > node->place->patience;
}

void server_drop_readers(struct node *node)
{
        for (size_t i = node->child_count; i-- > 0;)
                if (node->children[i].told_offer)
                        drop(node, i);
}

struct pollfd server_poll(const struct node *node, size_t i)
{
        const struct child *child = &node->children[i];
        bool sends = child->link.out_length > 0 || child->piece > 0 ||
                     (child->wants && child->offset < node->replica.have);

        return (struct pollfd){ .fd = child->link.fd,
                                .events = (short)(POLLIN | (sends ? POLLOUT : 0)) };
}

void server_advance(struct node *node, const struct pollfd *events, size_t count)
{
        for (size_t i = node->child_count; i-- > 0;) {
                struct child *child = &node->children[i];
                struct error err = ERROR_INIT;
                int result = 0;

                if (i < count && events[i].revents & (POLLIN | POLLHUP | POLLERR))
                        result = hear(node, child, &err);
                if (result == 0)
                        result = speak(node, child, &err);
                if (result < 0 ||
                    (child->phase != CHILD_FRAMES && clock_ms() > child->deadline))
                        drop(node, i);
        }
}
