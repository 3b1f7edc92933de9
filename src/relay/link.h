/*
 * A connection to another node: bytes in and out without waiting, and the keys of its frames.
 * The callers poll.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "relay/wire.h"

#define LINK_OUT_SIZE (8 * WIRE_FRAME_SIZE) /* frames that can wait to be sent */

struct link {
        int fd;
        struct wire_ends ends;
        struct wire_direction ours, theirs;
        unsigned char in[WIRE_FRAME_SIZE], out[LINK_OUT_SIZE];
        size_t in_length, out_length;
};

#define LINK_INIT                                                                                  \
        {                                                                                          \
                .fd = -1                                                                           \
        }

void link_close(struct link *link);

/* Notice within half a minute when the other machine is gone; small frames go at once. */
void link_tune(int fd);

/* Read at most size bytes. Returns how many; 0 for none now; -1 with *err, also at the end. */
ssize_t link_read(struct link *link, void *buffer, size_t size, struct error *err);

/*
 * Read until there are size bytes in link->in. Returns 1 when they are there, and are to be
 * dropped with link_drop; 0 when they have yet to come; -1 with *err, also at the end.
 */
int link_need(struct link *link, size_t size, struct error *err);
void link_drop(struct link *link);

/*
 * The next frame. Returns 1 and *ret (of WIRE_DATA the head only); 0 when it has yet to come;
 * -1 with *err.
 */
int link_receive(struct link *link, struct sha256 *sha, struct wire_frame *ret,
                 struct error *err);

/* Keep bytes, or a frame, for sending. Returns 0; -1 with *err when there are too many. */
int link_queue(struct link *link, const void *data, size_t size, struct error *err);
int link_send(struct link *link, struct sha256 *sha, const struct wire_frame *frame,
              struct error *err);

/* Send what is kept, as far as possible. Returns 0; link->out_length says what is left. */
int link_flush(struct link *link, struct error *err);

/* Derive the keys of both directions when the handshake is done. */
void link_begin_session(struct link *link, struct sha256 *sha,
                        const unsigned char key[WIRE_KEY_SIZE], bool is_server);
