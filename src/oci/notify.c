/*
 * Agents that answer for system calls (SCMP_ACT_NOTIFY): the descriptor of a filter goes to
 * a socket, with the document that the specification calls the container process state.
 */
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "oci/container.h"
#include "util/json_writer.h"

int notify_connect(const struct oci_filter *filter, struct error *err)
{
        if (!filter->listener_path)
                return error_set(err, EINVAL, "seccomp: SCMP_ACT_NOTIFY needs \"listenerPath\"");
        return socket_connect(filter->listener_path, "seccomp: listenerPath", err);
}

static int describe(const struct notification *notification, const char *metadata,
                    struct strbuf *text, struct error *err)
{
        struct json_writer writer = { .text = text, .compact = true };
        auto_strbuf struct strbuf state = STRBUF_INIT;

        if (oci_state_print(notification->state, false, &state, err) < 0)
                return -1;
        strbuf_truncate(&state, state.length - 1); /* its newline */
        json_write_object(&writer, NULL);
        json_write_text(&writer, "ociVersion", notification->state->version);
        json_write_array(&writer, "fds");
        json_write_text(&writer, NULL, "seccompFd");
        json_write_end(&writer);
        json_write_number(&writer, "pid", notification->pid);
        if (metadata)
                json_write_text(&writer, "metadata", metadata);
        json_write_raw(&writer, "state", strbuf_text(&state));
        json_write_end(&writer);
        return text->failed ? error_no_memory(err) : 0;
}

int notify_install(const struct oci_filter *filter, const struct notification *notification,
                   struct error *err)
{
        const struct sock_fprog program = { .len = filter->count, .filter = filter->instructions };
        auto_strbuf struct strbuf text = STRBUF_INIT;
        auto_close int fd = -1;

        if (describe(notification, filter->listener_metadata, &text, err) < 0)
                return -1;
        fd = (int)syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER,
                          filter->flags | SECCOMP_FILTER_FLAG_NEW_LISTENER, &program);
        if (fd < 0)
                return error_errno(err, "seccomp: SCMP_ACT_NOTIFY");
        return descriptor_send(notification->fd, fd, strbuf_text(&text), text.length, err) < 0
                       ? error_prefix(err, "seccomp: listenerPath %s", filter->listener_path)
                       : 0;
}
