/*
 * A failure that the nodes of a step have in common (an image file, a mount's source or a
 * container that is on none of them) is told once, by the first node that has it. A node that
 * has failed asks those before it, the way that it would ask for an image (relay/), under a key of
 * its own; only when none of them has failed it tells its reason itself. Nothing of this
 * happens in a step that works.
 */
#include <stdio.h>
#include <unistd.h>

#include "commands/step_holder.h"

/* Milliseconds. What all nodes fail in, they fail in at once; a reason told twice does no harm. */
#define FAILURE_PATIENCE 5000

void holder_share_failure(struct holder *holder)
{
        struct relay_place place = holder->place;
        struct error ignored = ERROR_INIT;
        char step[64];
        pid_t child;

        if (!holder->has_peers || holder->failure_fd >= 0)
                return;
        (void)snprintf(step, sizeof(step), "%s failure", place.step);
        place.step = step;
        place.patience = FAILURE_PATIENCE;
        child = holder_begin_relay(holder, &place, place.node == 0 ? RELAY_FIRST : RELAY_RECEIVE,
                                   &holder->failure_fd, &ignored);
        if (child < 0)
                return;
        holder->failure = child;
        holder->asks = place.node > 0;
        if (!holder->asks)
                (void)holder_send(holder->failure_fd, STEP_FAILED, "");
}

void holder_hear_failure(struct holder *holder)
{
        auto_step_message struct step_message message = STEP_MESSAGE_INIT;
        struct error ignored = ERROR_INIT;

        if (step_receive(holder->failure_fd, &message, &ignored) <= 0) {
                (void)close(TAKE_FD(holder->failure_fd));
                holder->asks = false;
                return;
        }
        if (message.kind == STEP_FAILED) {
                strlist_release(&holder->lines);
                holder->asks = false;
        } else if (message.kind == STEP_IMPORT) {
                /* Nobody else has failed, or can be reached: those after us hear it from us. */
                (void)holder_send(holder->failure_fd, STEP_FAILED, "");
                holder->asks = false;
        }
}
