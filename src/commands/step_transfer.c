/*
 * The image of a step that runs on several nodes: one node imports, the others get it from
 * there (relay/). The transfer is a process of its own, because it must go on while the
 * holder works, and because a hostile peer must not get at the holder's descriptors.
 */
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "commands/cache.h"
#include "commands/step_holder.h"
#include "util/cancel.h"
#include "util/sha256.h"

/* Milliseconds. Slurm starts a step's nodes within a few seconds of each other. */
#define IMAGE_PATIENCE 10000

/* ---- whether ---- */

static const char *find_variable(char *const *environment, const char *name)
{
        size_t length = strlen(name);

        for (; *environment; environment++)
                if (strncmp(*environment, name, length) == 0 && (*environment)[length] == '=')
                        return *environment + length + 1;
        return NULL;
}

int holder_take_secret(struct holder *holder, struct error *err)
{
        const struct step_arguments *arguments = holder->arguments;
        auto_step_message struct step_message message = STEP_MESSAGE_INIT;
        char *terminal;

        if (step_receive(holder->control_fd, &message, err) <= 0)
                return err->code ? -1 : error_set(err, EPIPE, "the plugin has gone");
        terminal = strstr(message.text, STEP_TERMINAL);
        holder->terminal = terminal != NULL;
        if (terminal)
                *terminal = '\0';
        holder->place = (struct relay_place){
                .step = arguments->step,
                .nodes = find_variable(holder->environment, "SLURM_STEP_NODELIST"),
                .node = arguments->node,
                .node_count = arguments->node_count,
                .patience = IMAGE_PATIENCE,
        };
        holder->has_peers =
                arguments->node_count > 1 && arguments->step && holder->place.nodes &&
                sha256_parse(message.text, holder->place.secret) == 0 &&
                relay_parse_ports(arguments->ports, &holder->place.first_port,
                                  &holder->place.last_port) == 0;
        /* Only what each node would fetch alike can be had from another one. */
        holder->transfers = holder->has_peers && step_image_is_cached(arguments);
        return 0;
}

/* ---- the child ---- */

static int transfer(const struct holder *holder, const struct relay_place *place,
                    enum relay_role role, int control, struct error *err)
{
        auto_config struct config config = { 0 };
        const struct command_context context = { .config = &config, .report = holder->report };
        auto_store struct store *store = NULL;

        if (config_load(&config, holder->environment, err) < 0)
                return -1;
        store = store_open(config.cache_path, err);
        if (!store || relay_run(place, role, store, control, holder->report, err) < 0)
                return -1;
        cache_keep_limits(&context);
        return 0;
}

static _Noreturn void become_transfer(const struct holder *holder, const struct relay_place *place,
                                      enum relay_role role, int control)
{
        struct error err = ERROR_INIT;

        /* The end of this node's holder must be seen by the plugin, whoever else lives. */
        (void)close(holder->control_fd);
        cancel_install();
        if (step_become_worker(STDOUT_FILENO) < 0)
                _exit(EXIT_FAILURE);
        _exit(transfer(holder, place, role, control, &err) < 0 ? EXIT_FAILURE : EXIT_SUCCESS);
}

pid_t holder_begin_relay(const struct holder *holder, const struct relay_place *place,
                         enum relay_role role, int *ret_fd, struct error *err)
{
        auto_close int ours = -1, its = -1;
        int sockets[2];
        pid_t child;

        if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sockets) < 0)
                return error_errno(err, "socketpair");
        ours = sockets[0];
        its = sockets[1];
        child = fork();
        if (child < 0)
                return error_errno(err, "cannot start a process");
        if (child == 0) {
                (void)close(TAKE_FD(ours));
                become_transfer(holder, place, role, its);
        }
        *ret_fd = TAKE_FD(ours);
        return child;
}

int holder_begin_transfer(struct holder *holder, enum relay_role role, struct error *err)
{
        pid_t child = holder_begin_relay(holder, &holder->place, role, &holder->transfer_fd, err);

        if (child < 0)
                return -1;
        holder->transfer = child;
        return 0;
}

/* ---- what is said ---- */

void holder_tell_transfer(struct holder *holder, enum step_kind kind, const char *text)
{
        if (holder->transfer_fd >= 0)
                (void)holder_send(holder->transfer_fd, kind, text);
}

static void take_digest(struct holder *holder, const char *text)
{
        if (image_digest_valid(text))
                memcpy(holder->digest, text, sizeof(holder->digest));
}

void holder_hear_worker(struct holder *holder)
{
        struct pollfd ready = { .fd = holder->tell_fd, .events = POLLIN };

        while (poll(&ready, 1, 0) > 0) {
                auto_step_message struct step_message message = STEP_MESSAGE_INIT;
                struct error ignored = ERROR_INIT;

                if (step_receive(holder->tell_fd, &message, &ignored) <= 0)
                        return;
                take_digest(holder, message.text);
                holder->has_image |= message.kind == STEP_IMAGE;
                holder_tell_transfer(holder, message.kind, message.text);
        }
}

/* The image is in the cache, from another node. */
static int take_image(struct holder *holder, struct error *err)
{
        holder->has_image = holder->received = true;
        if (step_needs_container(holder->arguments))
                return holder_begin_make(holder, err);
        holder->state = STATE_MADE;
        return 0;
}

int holder_hear_transfer(struct holder *holder, struct error *err)
{
        auto_step_message struct step_message message = STEP_MESSAGE_INIT;
        bool waits = holder->state == STATE_MAKING && !holder->worker;

        if (step_receive(holder->transfer_fd, &message, err) <= 0) {
                (void)close(TAKE_FD(holder->transfer_fd));
                return waits ? holder_begin_make(holder, err) : 0;
        }
        if (message.kind == STEP_INFO)
                holder_tell(holder, "%s", message.text);
        if (!waits)
                return 0;
        take_digest(holder, message.text);
        switch (message.kind) {
        case STEP_IMAGE:
                return take_image(holder, err);
        case STEP_IMPORT:
                return holder_begin_make(holder, err);
        case STEP_FAILED:
                /* The node that failed has told why. */
                holder->state = STATE_FAILED;
                strlist_release(&holder->lines);
                return 0;
        default:
                return 0;
        }
}
