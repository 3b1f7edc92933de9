#include "relay/link.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "util/cleanup.h"

void link_close(struct link *link)
{
        if (link->fd >= 0)
                (void)close(link->fd);
        *link = (struct link)LINK_INIT;
}

void link_tune(int fd)
{
        const struct {
                int level, name, value;
        } options[] = {
                { SOL_SOCKET, SO_KEEPALIVE, 1 },
                { IPPROTO_TCP, TCP_KEEPIDLE, 10 }, /* seconds */
                { IPPROTO_TCP, TCP_KEEPINTVL, 5 },
                { IPPROTO_TCP, TCP_KEEPCNT, 4 },
                { IPPROTO_TCP, TCP_USER_TIMEOUT, 30000 }, /* milliseconds */
                { IPPROTO_TCP, TCP_NODELAY, 1 },
        };

        /* Where one is not known, a dead machine is noticed later. */
        for (size_t i = 0; i < ARRAY_SIZE(options); i++)
                (void)setsockopt(fd, options[i].level, options[i].name, &options[i].value,
                                 sizeof(options[i].value));
}

ssize_t link_read(struct link *link, void *buffer, size_t size, struct error *err)
{
        ssize_t got = recv(link->fd, buffer, size, MSG_DONTWAIT);

        if (got < 0 && (errno == EAGAIN || errno == EINTR))
                return 0;
        if (got < 0)
                return error_errno(err, "receiving");
        return got == 0 ? error_set(err, ECONNRESET, "it has gone") : got;
}

int link_need(struct link *link, size_t size, struct error *err)
{
        while (link->in_length < size) {
                ssize_t got = link_read(link, link->in + link->in_length, size - link->in_length,
                                        err);

                if (got <= 0)
                        return (int)got;
                link->in_length += (size_t)got;
        }
        return 1;
}

void link_drop(struct link *link)
{
        link->in_length = 0;
}

int link_receive(struct link *link, struct sha256 *sha, struct wire_frame *ret,
                 struct error *err)
{
        int result = link_need(link, WIRE_HEAD_SIZE, err), size;

        if (result <= 0)
                return result;
        size = wire_parse_head(link->in, ret, err);
        if (size < 0)
                return -1;
        if (size > WIRE_HEAD_SIZE) {
                result = link_need(link, (size_t)size, err);
                if (result <= 0)
                        return result;
                if (wire_parse_frame(sha, &link->theirs, link->in, ret, err) < 0)
                        return -1;
        }
        link_drop(link);
        return 1;
}

int link_queue(struct link *link, const void *data, size_t size, struct error *err)
{
        if (size > sizeof(link->out) - link->out_length)
                return error_set(err, ENOBUFS, "it does not take what it is sent");
        memcpy(link->out + link->out_length, data, size);
        link->out_length += size;
        return 0;
}

int link_send(struct link *link, struct sha256 *sha, const struct wire_frame *frame,
              struct error *err)
{
        unsigned char data[WIRE_FRAME_SIZE];

        wire_print_frame(sha, &link->ours, frame, data);
        return link_queue(link, data, sizeof(data), err);
}

int link_flush(struct link *link, struct error *err)
{
        while (link->out_length > 0) {
                ssize_t sent = send(link->fd, link->out, link->out_length,
                                    MSG_DONTWAIT | MSG_NOSIGNAL);

                if (sent < 0 && (errno == EAGAIN || errno == EINTR))
                        return 0;
                if (sent < 0)
                        return error_errno(err, "sending");
                link->out_length -= (size_t)sent;
                memmove(link->out, link->out + sent, link->out_length);
        }
        return 0;
}

void link_begin_session(struct link *link, struct sha256 *sha,
                        const unsigned char key[WIRE_KEY_SIZE], bool is_server)
{
        struct wire_direction *directions[] = { &link->ours, &link->theirs };

        for (size_t i = 0; i < ARRAY_SIZE(directions); i++) {
                *directions[i] = (struct wire_direction){ .sender = (i == 0) == is_server ? 's'
                                                                                          : 'c' };
                wire_session(sha, key, &link->ends, directions[i]->key);
        }
}
