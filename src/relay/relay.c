#include "relay/relay.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "relay/node.h"
#include "util/cancel.h"
#include "util/clock.h"

#define LOOK_TIME 1000 /* milliseconds between two looks at the clock */

void node_tell(struct node *node, enum step_kind kind, const char *text)
{
        struct step_message message = { .kind = kind };
        struct error ignored = ERROR_INIT;

        (void)snprintf(message.text, sizeof(message.text), "%s", text);
        (void)step_send(node->control, &message, &ignored);
}

/* ---- what the caller says ---- */

static void take_image(struct node *node, const char *digest)
{
        struct error err = ERROR_INIT;

        upstream_end(node);
        memcpy(node->digest, digest, sizeof(node->digest));
        /* One that is gone from the cache already is not there for others either. */
        node->state = replica_open(&node->replica, node->store, digest, &err) > 0 ? NODE_READY
                                                                                  : NODE_ABSENT;
}

/* Returns 1, or 0 when the caller has gone. */
static int listen_to_caller(struct node *node)
{
        auto_step_message struct step_message message = STEP_MESSAGE_INIT;
        struct error ignored = ERROR_INIT;

        if (step_receive(node->control, &message, &ignored) <= 0)
                return 0;
        if (message.kind == STEP_RESOLVED && !*node->digest && image_digest_valid(message.text))
                memcpy(node->digest, message.text, sizeof(node->digest));
        else if (message.kind == STEP_IMAGE && image_digest_valid(message.text))
                take_image(node, message.text);
        else if (message.kind == STEP_FAILED)
                node->state = NODE_FAILED;
        else if (message.kind == STEP_END)
                node->ending = true;
        return 1;
}

/* ---- the loop ---- */

/* Wait for something, and do it. Returns 1, or 0 when the caller has gone; -1 with *err. */
static int turn(struct node *node, struct error *err)
{
        struct pollfd fds[3 + CHILDREN_LIMIT];
        bool sums = node->state == NODE_READY && !node->replica.summed && server_wants_sum(node);
        size_t children = node->child_count;
        int timeout = LOOK_TIME;

        fds[0] = (struct pollfd){ .fd = node->control, .events = POLLIN };
        fds[1] = (struct pollfd){ .fd = node->listener, .events = POLLIN };
        fds[2] = upstream_poll(node, &timeout);
        for (size_t i = 0; i < children; i++)
                fds[3 + i] = server_poll(node, i);
        if (poll(fds, 3 + children, sums ? 0 : timeout) < 0 && errno != EINTR)
                return error_errno(err, "poll");
        if (sums && replica_sum_some(&node->replica, err) < 0)
                return -1;
        if (fds[0].revents && listen_to_caller(node) == 0)
                return 0;
        upstream_advance(node, fds[2].revents);
        /* A dropped connection moves the others: their events come again. */
        server_advance(node, fds + 3, node->child_count < children ? 0 : children);
        if (fds[1].revents)
                server_accept(node);
        return 1;
}

static void release(struct node *node)
{
        upstream_end(node);
        server_end(node);
        replica_release(&node->replica);
        sha256_free(node->sha);
}

int relay_run(const struct relay_place *place, enum relay_role role, struct store *store,
                 int control, struct report *report, struct error *err)
{
        auto_cleanup(release) struct node node = {
                .place = place,
                .store = store,
                .report = report,
                .control = control,
                .listener = -1,
                .state = role == RELAY_ABSENT ? NODE_ABSENT : NODE_WAITING,
                .replica = REPLICA_INIT,
                .started = clock_ms(),
                .upstream = { .link = LINK_INIT },
                .sha = sha256_new(err),
        };
        int result = 1;

        if (!node.sha)
                return -1;
        plan_key(node.sha, place->secret, place->step, node.key);
        /* A leaf of the tree is asked only when its betters are gone. */
        server_begin(&node);
        if (place->node > 0 && role != RELAY_FIRST)
                upstream_begin(&node);
        while (result > 0 && !cancel_signal() && !(node.ending && server_is_done(&node)))
                result = turn(&node, err);
        return result < 0 ? -1 : 0;
}

/* ---- what the plugin gives ---- */

int relay_parse_ports(const char *text, uint16_t *ret_first, uint16_t *ret_last)
{
        unsigned int first, last;
        int length = -1;

        if (sscanf(text, "%5u-%5u%n", &first, &last, &length) != 2 || text[length] != '\0' ||
            first == 0 || last < first || last > UINT16_MAX || strspn(text, "0123456789-") !=
                                                                      strlen(text))
                return -1;
        *ret_first = (uint16_t)first;
        *ret_last = (uint16_t)last;
        return 0;
}
