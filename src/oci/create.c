/* The creator's part of a container. */
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>

#include "env/env.h"
#include "oci/cgroup.h"
#include "oci/container.h"
#include "util/io.h"
#include "util/path.h"

/* ---- messages ---- */

int message_send(int fd, enum message_kind kind, pid_t pid, struct error *err)
{
        const struct message message = { .kind = kind, .pid = pid };

        if (send(fd, &message, sizeof(message), MSG_NOSIGNAL) != sizeof(message))
                return error_errno(err, "the other process of the container's creation");
        return 0;
}

int message_receive(int fd, enum message_kind kind, pid_t *ret_pid, struct error *err)
{
        struct message message;
        ssize_t size;

        do
                size = recv(fd, &message, sizeof(message), 0);
        while (size < 0 && errno == EINTR);
        if (size != sizeof(message))
                return error_set(err, ECHILD,
                                 "the container's process was killed while it was made");
        if (message.kind == MESSAGE_ERROR) {
                *err = message.error;
                return -1;
        }
        if (message.kind != kind)
                return error_set(err, EPROTO, "the container's process says something else");
        if (ret_pid)
                *ret_pid = message.pid;
        return 0;
}

_Noreturn void message_fail(int fd, const struct error *err)
{
        const struct message message = { .kind = MESSAGE_ERROR, .error = *err };

        (void)send(fd, &message, sizeof(message), MSG_NOSIGNAL);
        _exit(EXIT_FAILURE);
}

/* ---- the bundle ---- */

void creation_release(struct creation *creation)
{
        int *fds[] = { &creation->channel,    &creation->listen_fd, &creation->waiting_fd,
                       &creation->console_fd, &creation->notify_fd, &creation->label_fd };

        for (size_t i = 0; i < ARRAY_SIZE(fds); i++)
                if (*fds[i] >= 0)
                        (void)close(TAKE_FD(*fds[i]));
        strbuf_release(&creation->config);
        oci_spec_release(&creation->spec);
        oci_filter_release(&creation->filter);
        oci_state_release(&creation->state);
}

/* Whether this process may make namespaces without a user namespace for them. */
static bool is_privileged(void)
{
        struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
        struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3] = { { 0 } };

        return syscall(SYS_capget, &header, data) == 0 &&
               data[0].effective & (1u << CAP_SYS_ADMIN);
}

static struct id_map one_id(uint32_t inside, uint32_t outside)
{
        return (struct id_map){ .ranges = { { inside, outside, 1 } }, .count = 1 };
}

/*
 * A bundle that says nothing of a user namespace can be run by a user all the same: he is
 * in it who the configuration says.
 */
static int settle_user_namespace(struct creation *creation, struct error *err)
{
        const struct oci_create *create = creation->create;
        struct oci_spec *spec = &creation->spec;

        if (!spec->namespaces[OCI_NS_USER] && !is_privileged())
                spec->new_namespaces |= CLONE_NEWUSER;
        creation->user_namespace =
                spec->new_namespaces & CLONE_NEWUSER || spec->namespaces[OCI_NS_USER];
        if (!(spec->new_namespaces & CLONE_NEWUSER) || spec->uids.count > 0)
                return 0;
        if (create->subids)
                return runtime_read_subids(&spec->uids, &spec->gids, create->path, err);
        spec->uids = one_id(spec->process.uid, geteuid());
        spec->gids = one_id(spec->process.gid, getegid());
        return 0;
}

bool id_is_mapped(const struct id_map *map, uint32_t id)
{
        for (size_t i = 0; i < map->count; i++)
                if (id >= map->ranges[i].inside &&
                    id - map->ranges[i].inside < map->ranges[i].count)
                        return true;
        return false;
}

static int check_ids(const struct creation *creation, struct error *err)
{
        const struct oci_spec *spec = &creation->spec;

        if (!(spec->new_namespaces & CLONE_NEWUSER))
                return 0;
        if (!id_is_mapped(&spec->uids, spec->process.uid))
                return error_set(err, EINVAL, "process: user %u is not in uidMappings",
                                 spec->process.uid);
        if (!id_is_mapped(&spec->gids, spec->process.gid))
                return error_set(err, EINVAL, "process: group %u is not in gidMappings",
                                 spec->process.gid);
        return 0;
}

static void report_ignored(const struct creation *creation, const struct strlist *names)
{
        for (size_t i = 0; i < names->count; i++)
                report_warn(creation->report, "config.json: %s is not supported and ignored",
                            names->items[i]);
}

static int check_bundle(struct creation *creation, struct error *err)
{
        const struct oci_spec *spec = &creation->spec;
        struct stat st;

        if (!spec->has_process)
                return error_set(err, EINVAL, "\"process\" is missing");
        if (stat(spec->rootfs, &st) < 0)
                return error_errno(err, "root: %s", spec->rootfs);
        if (!S_ISDIR(st.st_mode))
                return error_set(err, ENOTDIR, "root: %s is not a directory", spec->rootfs);
        report_ignored(creation, &spec->ignored);
        report_ignored(creation, &spec->process.ignored);
        if (label_check(&spec->process, spec->mount_label, err) < 0 ||
            settle_user_namespace(creation, err) < 0 || check_ids(creation, err) < 0)
                return -1;
        return mount_plan_check(&spec->mounts, spec->rootfs, 0, 0, err);
}

/* sd_listen_fds(3): the sockets are meant for the process, which is the first one. */
static int add_listen_variables(struct creation *creation, struct error *err)
{
        struct strlist *env = &creation->spec.process.env;
        char number[16];

        if (creation->create->listen_fds == 0)
                return 0;
        (void)snprintf(number, sizeof(number), "%d", creation->create->listen_fds);
        if (env_set(env, "LISTEN_FDS", number) < 0 || env_set(env, "LISTEN_PID", "1") < 0)
                return error_no_memory(err);
        return 0;
}

/* The directory as an absolute path without links: the state keeps it. */
static char *bundle_path(const char *bundle, struct error *err)
{
        char *path = realpath(bundle ? bundle : ".", NULL);

        if (!path)
                error_errno(err, "bundle %s", bundle ? bundle : ".");
        return path;
}

static int read_bundle(struct creation *creation, struct error *err)
{
        const struct oci_create *create = creation->create;
        auto_free char *bundle = bundle_path(create->bundle, err);
        auto_free char *path = NULL;
        struct strbuf *text = &creation->config;
        struct oci_spec *spec = &creation->spec;

        if (!bundle)
                return -1;
        path = create->config ? strdup(create->config) : path_join(bundle, STATE_CONFIG);
        if (!path)
                return error_no_memory(err);
        if (io_read_file(AT_FDCWD, path, OCI_CONFIG_LIMIT, text, err) < 0)
                return -1;
        if (oci_spec_parse(strbuf_text(text), text->length, bundle, spec, err) < 0 ||
            add_listen_variables(creation, err) < 0 || check_bundle(creation, err) < 0 ||
            (spec->seccomp && oci_filter_compile(spec->seccomp, &creation->filter, err) < 0))
                return error_prefix(err, "%s", path);
        creation->state.bundle = TAKE_PTR(bundle);
        return 0;
}

/* ---- the directory ---- */

/* A copy of the configuration: "exec" and "delete" want the one that was used. */
static int keep_config(const struct creation *creation, struct error *err)
{
        const struct strbuf *text = &creation->config;
        auto_close int fd = openat(creation->state.dir_fd, STATE_CONFIG,
                                   O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

        if (fd < 0 || io_write_full(fd, text->data, text->length) < 0)
                return error_errno(err, "the container's " STATE_CONFIG);
        return 0;
}

/* The paths of sockets are short; a descriptor's is shorter than any. */
static int listen_at(int dir_fd, struct error *err)
{
        struct sockaddr_un address = { .sun_family = AF_UNIX };
        auto_close int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

        (void)snprintf(address.sun_path, sizeof(address.sun_path), "/proc/self/fd/%d/%s", dir_fd,
                       STATE_SOCKET);
        if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0 ||
            listen(fd, 1) < 0)
                return error_errno(err, "the container's socket");
        return TAKE_FD(fd);
}

static int copy_facts(struct creation *creation, struct error *err)
{
        struct oci_state *state = &creation->state;
        const struct oci_spec *spec = &creation->spec;

        state->rootfs = strdup(spec->rootfs);
        state->version = strdup(spec->version);
        state->own_keyring = !creation->create->keep_keyring;
        if (!state->rootfs || !state->version)
                return error_no_memory(err);
        for (size_t i = 0; i < spec->annotations.count; i++)
                if (strlist_append(&state->annotations, spec->annotations.items[i]) < 0)
                        return error_no_memory(err);
        return 0;
}

static int open_state(struct creation *creation, int root_fd, struct error *err)
{
        struct oci_state state = OCI_STATE_INIT;

        if (state_create(root_fd, creation->create->id, &state, err) < 0)
                return -1;
        state.bundle = TAKE_PTR(creation->state.bundle);
        creation->state = state;
        return 0;
}

static int prepare(struct creation *creation, struct error *err)
{
        struct oci_state *state = &creation->state;

        if (copy_facts(creation, err) < 0 || keep_config(creation, err) < 0)
                return -1;
        creation->listen_fd = listen_at(state->dir_fd, err);
        if (creation->listen_fd < 0)
                return -1;
        creation->waiting_fd = state_open_lock(state->dir_fd);
        if (creation->waiting_fd < 0 || state_lock(creation->waiting_fd, STATE_LOCK_WAITING) < 0)
                return error_errno(err, "the container's lock");
        return 0;
}

/* ---- the processes ---- */

static int fork_stage(struct creation *creation, pid_t *ret, struct error *err)
{
        int channel[2];

        if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, channel) < 0)
                return error_errno(err, "sockets");
        *ret = fork();
        if (*ret == 0) {
                (void)close(channel[0]);
                creation->channel = channel[1];
                /* The creator's lock ends with the creator. */
                (void)close(TAKE_FD(creation->state.lock_fd));
                stage_run(creation);
        }
        (void)close(channel[1]);
        creation->channel = channel[0];
        /* From now on these are init's. */
        (void)close(TAKE_FD(creation->listen_fd));
        (void)close(TAKE_FD(creation->waiting_fd));
        if (creation->console_fd >= 0)
                (void)close(TAKE_FD(creation->console_fd));
        if (creation->notify_fd >= 0)
                (void)close(TAKE_FD(creation->notify_fd));
        return *ret < 0 ? error_errno(err, "cannot start a process") : 0;
}

static int start_processes(struct creation *creation, struct error *err)
{
        struct oci_state *state = &creation->state;
        pid_t stage = -1;
        int result;

        if (fork_stage(creation, &stage, err) < 0)
                return -1;
        result = message_receive(creation->channel, MESSAGE_PID, &state->pid, err);
        /* Gone before init goes on: what is left is one process, and it is ours. */
        while (waitpid(stage, NULL, 0) < 0 && errno == EINTR)
                ;
        if (result < 0)
                return -1;
        state->start = state_process_start(state->pid);
        state->status = OCI_CREATING;
        return 0;
}

static int make(struct creation *creation, struct error *err)
{
        struct oci_state *state = &creation->state;
        const struct oci_spec *spec = &creation->spec;

        if (prepare(creation, err) < 0 || start_processes(creation, err) < 0)
                return -1;
        if ((!creation->create->no_cgroup &&
             cgroups_make(spec, state->id, state->pid, creation->report, &state->cgroups, err) <
                     0) ||
            state_write(state, err) < 0 ||
            hooks_run_all(&spec->hooks[OCI_PRESTART], state, err) < 0 ||
            hooks_run_all(&spec->hooks[OCI_CREATE_RUNTIME], state, err) < 0)
                return -1;
        if (message_send(creation->channel, MESSAGE_GO, state->pid, err) < 0) {
                /* Why it is gone stands in what it sent last. */
                (void)message_receive(creation->channel, MESSAGE_READY, NULL, err);
                return -1;
        }
        if (message_receive(creation->channel, MESSAGE_READY, NULL, err) < 0)
                return -1;
        return write_pid_file(creation->create->pid_file, state->pid, err);
}

static void undo(struct creation *creation, int root_fd)
{
        struct oci_state *state = &creation->state;
        struct error ignored = ERROR_INIT;

        if (state->pid > 0) {
                (void)state_signal(state, SIGKILL, &ignored);
                while (waitpid(state->pid, NULL, 0) < 0 && errno == EINTR)
                        ;
        }
        cgroups_remove(&state->cgroups);
        hooks_run_late(&creation->spec.hooks[OCI_POSTSTOP], state, creation->report);
        (void)state_remove(root_fd, state->id, &ignored);
}

static int carry_out(struct creation *creation, int root_fd, struct error *err)
{
        if (open_state(creation, root_fd, err) < 0)
                return -1;
        /* Init's parent, the stage, is gone soon: it shall be ours. */
        foreground_adopt();
        if (make(creation, err) < 0) {
                undo(creation, root_fd);
                return -1;
        }
        (void)close(TAKE_FD(creation->state.lock_fd));
        return 0;
}

/* ---- create ---- */

static int open_console(struct creation *creation, struct error *err)
{
        const char *path = creation->create->console_socket;

        if (!creation->spec.process.terminal)
                return 0;
        if (!path)
                return error_set(err, EINVAL,
                                 "process: \"terminal\" needs --console-socket where nobody "
                                 "waits for the container");
        creation->console_fd = socket_connect(path, "--console-socket", err);
        return creation->console_fd < 0 ? -1 : 0;
}

/* Everything that can be known to be wrong before there is a container. */
static int read_all(struct creation *creation, struct error *err)
{
        if (process_check_descriptors(creation->create->preserve_fds, err) < 0 ||
            read_bundle(creation, err) < 0)
                return -1;
        if (creation->filter.notifies)
                creation->notify_fd = notify_connect(&creation->filter, err);
        return creation->filter.notifies && creation->notify_fd < 0 ? -1 : 0;
}

int oci_create(const struct oci_create *create, struct report *report, struct error *err)
{
        auto_creation struct creation creation = CREATION_INIT;
        auto_close int root_fd = -1;

        creation.create = create;
        creation.report = report;
        if (read_all(&creation, err) < 0 || open_console(&creation, err) < 0)
                return -1;
        root_fd = oci_root_open(create->root, err);
        if (root_fd < 0)
                return -1;
        return carry_out(&creation, root_fd, err);
}

/* ---- run ---- */

int oci_run(const struct oci_create *create, struct report *report, int *ret_status,
            struct error *err)
{
        auto_creation struct creation creation = CREATION_INIT;
        auto_close int root_fd = -1, terminal = -1, master = -1;
        int sockets[2];

        creation.create = create;
        creation.report = report;
        if (read_all(&creation, err) < 0)
                return -1;
        if (creation.spec.process.terminal && create->foreground && !create->console_socket) {
                if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sockets) < 0)
                        return error_errno(err, "sockets");
                terminal = sockets[0];
                creation.console_fd = sockets[1];
        } else if (open_console(&creation, err) < 0) {
                return -1;
        }
        root_fd = oci_root_open(create->root, err);
        if (root_fd < 0 || carry_out(&creation, root_fd, err) < 0)
                return -1;
        if (create->foreground)
                foreground_hold_signals();
        if (oci_start(create->root, create->id, report, err) < 0 ||
            (terminal >= 0 && (master = console_receive(terminal, err)) < 0)) {
                struct error ignored = ERROR_INIT;

                (void)oci_delete(create->root, create->id, true, report, &ignored);
                return -1;
        }
        *ret_status = 0;
        if (!create->foreground)
                return 0;
        *ret_status = foreground_wait(creation.state.pid, master);
        return create->keep ? 0 : oci_delete(create->root, create->id, true, report, err);
}
