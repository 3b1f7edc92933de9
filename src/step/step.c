#include "step/step.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "util/io.h"
#include "util/strbuf.h"

/* Largest environment, in bytes; execve(2) takes no more than 6 MiB. */
#define ENVIRONMENT_LIMIT (8u << 20)

/* What goes over the socket before the text. Both sides are of one build. */
struct header {
        uint32_t kind, namespaces, single_id;
};

void step_message_release(struct step_message *message)
{
        for (size_t i = 0; i < message->fd_count; i++)
                (void)close(message->fds[i]);
        message->fd_count = 0;
}

int step_send(int socket, const struct step_message *message, struct error *err)
{
        struct header header = { message->kind, message->namespaces, message->single_id };
        union {
                char space[CMSG_SPACE(sizeof(message->fds))];
                struct cmsghdr alignment;
        } control = { .space = { 0 } };
        struct iovec parts[] = {
                { &header, sizeof(header) },
                { (void *)message->text, strnlen(message->text, STEP_TEXT_SIZE - 1) },
        };
        struct msghdr packet = { .msg_iov = parts, .msg_iovlen = ARRAY_SIZE(parts) };

        if (message->fd_count > 0) {
                size_t size = message->fd_count * sizeof(*message->fds);
                struct cmsghdr *rights = &control.alignment;

                packet.msg_control = control.space;
                packet.msg_controllen = CMSG_SPACE(size);
                rights->cmsg_level = SOL_SOCKET;
                rights->cmsg_type = SCM_RIGHTS;
                rights->cmsg_len = CMSG_LEN(size);
                memcpy(CMSG_DATA(rights), message->fds, size);
        }
        while (sendmsg(socket, &packet, MSG_NOSIGNAL) < 0)
                if (errno != EINTR)
                        return error_errno(err, "cannot send a message");
        return 0;
}

/* Take the descriptors that came with a packet. */
static void take_descriptors(struct msghdr *packet, struct step_message *ret)
{
        for (struct cmsghdr *part = CMSG_FIRSTHDR(packet); part; part = CMSG_NXTHDR(packet, part)) {
                size_t size = part->cmsg_len - CMSG_LEN(0);

                if (part->cmsg_level != SOL_SOCKET || part->cmsg_type != SCM_RIGHTS ||
                    size > sizeof(ret->fds))
                        continue;
                memcpy(ret->fds, CMSG_DATA(part), size);
                ret->fd_count = size / sizeof(*ret->fds);
        }
}

int step_receive(int socket, struct step_message *ret, struct error *err)
{
        struct header header;
        union {
                char space[CMSG_SPACE(sizeof(ret->fds))];
                struct cmsghdr alignment;
        } control;
        struct iovec parts[] = {
                { &header, sizeof(header) },
                { ret->text, STEP_TEXT_SIZE - 1 },
        };
        struct msghdr packet = {
                .msg_iov = parts,
                .msg_iovlen = ARRAY_SIZE(parts),
                .msg_control = control.space,
                .msg_controllen = sizeof(control.space),
        };
        ssize_t size;

        *ret = (struct step_message)STEP_MESSAGE_INIT;
        do
                size = recvmsg(socket, &packet, MSG_CMSG_CLOEXEC);
        while (size < 0 && errno == EINTR);
        if (size < 0)
                return errno == ECONNRESET ? 0 : error_errno(err, "cannot receive a message");
        take_descriptors(&packet, ret);
        if (size == 0)
                return 0;
        if ((size_t)size < sizeof(header) || packet.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) {
                step_message_release(ret);
                return error_set(err, EBADMSG, "a message of %zd bytes is none of enroot's", size);
        }
        ret->kind = (enum step_kind)header.kind;
        ret->namespaces = header.namespaces;
        ret->single_id = header.single_id != 0;
        ret->text[(size_t)size - sizeof(header)] = '\0';
        return 1;
}

int step_write_environment(char *const *environment, struct error *err)
{
        auto_close int fd = memfd_create("enroot-environment", MFD_CLOEXEC);
        auto_strbuf struct strbuf text = STRBUF_INIT;

        for (char *const *item = environment; *item; item++)
                if (strbuf_append_mem(&text, *item, strlen(*item) + 1) < 0)
                        return error_no_memory(err);
        if (fd < 0 || (text.length > 0 && io_write_full(fd, text.data, text.length) < 0))
                return error_errno(err, "cannot keep the environment in memory");
        return TAKE_FD(fd);
}

int step_read_environment(int fd, struct strlist *ret, struct error *err)
{
        auto_free char *text = NULL;
        struct stat st;
        ssize_t length;

        if (fstat(fd, &st) < 0)
                return error_errno(err, "environment");
        if (st.st_size < 0 || st.st_size > ENVIRONMENT_LIMIT)
                return error_set(err, EFBIG, "environment: larger than %u bytes",
                                 ENVIRONMENT_LIMIT);
        text = malloc((size_t)st.st_size + 1);
        if (!text)
                return error_no_memory(err);
        /* The tasks of a node read the same file at once: they share its position. */
        length = io_pread_full(fd, text, (size_t)st.st_size, 0);
        if (length < 0)
                return error_errno(err, "environment");
        text[length] = '\0';
        for (size_t at = 0; at < (size_t)length; at += strlen(text + at) + 1)
                if (strchr(text + at, '=') && strlist_append(ret, text + at) < 0)
                        return error_no_memory(err);
        return 0;
}
