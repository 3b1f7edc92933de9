/*
 * A container on its way. Private to oci/. Three processes make it:
 *
 *      creator   the command. Stays outside, writes the state, runs the runtime's hooks.
 *      stage     enters the namespaces (stage.c), forks and is gone: only children get
 *                into a pid namespace.
 *      init      the container's first process (inside.c): mounts, pivots, waits for
 *                "start", becomes the command (process.c).
 *
 * They talk over a pair of sockets, whose end tells each that the other has died:
 *
 *      stage   → creator   PID of init, as the creator sees it
 *      creator → init      GO with the same: the state is written, the first hooks have run
 *      init    → creator   READY: all is mounted; it waits now. Or at any time ERROR.
 *
 * A creator that is killed takes everything along until READY; what stays on the disk has
 * no lock then, and the next command removes it.
 */
#pragma once

#include "oci/oci.h"
#include "oci/state.h"

enum message_kind {
        MESSAGE_ERROR,
        MESSAGE_PID,
        MESSAGE_GO,
        MESSAGE_READY,
};

struct message {
        enum message_kind kind;
        pid_t pid;
        struct error error;
};

/* 0; -1 with *err when the other side is gone or what it says is an error. */
int message_send(int fd, enum message_kind kind, pid_t pid, struct error *err);
int message_receive(int fd, enum message_kind kind, pid_t *ret_pid, struct error *err);

/* Tell the other side why this process ends, and end. */
_Noreturn void message_fail(int fd, const struct error *err);

/* What the processes share, from before the first fork. */
struct creation {
        const struct oci_create *create;
        struct report *report;
        struct strbuf config; /* the configuration, as it was read */
        struct oci_spec spec;
        struct oci_filter filter;
        struct oci_state state;
        bool user_namespace; /* the container is in one that the creator is not in */
        int channel;         /* the process's own end */
        int listen_fd;       /* the socket that init waits at */
        int waiting_fd;      /* a file of the lock that says that it waits */
        int console_fd;      /* socket that takes the terminal's descriptor; -1: none */
        int notify_fd;       /* socket that takes the filter's; -1: none */
        int label_fd;        /* /proc/self/attr/exec; -1: no label */
};

#define CREATION_INIT                                                                              \
        {                                                                                          \
                .state = OCI_STATE_INIT, .channel = -1, .listen_fd = -1, .waiting_fd = -1,         \
                .console_fd = -1, .notify_fd = -1, .label_fd = -1                                  \
        }

void creation_release(struct creation *creation);
#define auto_creation auto_cleanup(creation_release)

/* ---- stage.c ---- */

_Noreturn void stage_run(struct creation *creation);

/* ---- inside.c ---- */

_Noreturn void inside_run(struct creation *creation);

/* ---- mounts.c and devices.c: into a root that is not the process's yet ---- */

int mounts_apply(const struct creation *creation, const struct mount_root *root, struct error *err);

/* Copy what one directory has into another one, which is empty. 0, or -1 with *err. (copy_up.c) */
int copy_up(int from_fd, int to_fd, struct error *err);

/* Paths that nobody shall see, or write to. */
int mounts_cover(const struct creation *creation, const struct mount_root *root, struct error *err);

/* Devices that every container has, and those of the configuration. */
int devices_make(const struct creation *creation, const struct mount_root *root,
                 struct error *err);

/* Whether a map has an id, inside. */
bool id_is_mapped(const struct id_map *map, uint32_t id);

/* ---- console.c ---- */

/*
 * A new pseudo-terminal of the container's: its descriptor goes to a socket, and the
 * process (a session's first one) gets the other side as standard streams and controlling
 * terminal. with_node: it is /dev/console, too.
 */
int console_make(const struct oci_process *process, int socket_fd, bool with_node,
                 struct error *err);

/* The socket at a path that somebody (conmon) listens at. A descriptor, or -1 with *err. */
int socket_connect(const char *path, const char *option, struct error *err);

/* Send a descriptor to a socket, with text beside it. Returns 0, or -1 with *err. */
int descriptor_send(int socket_fd, int fd, const char *text, size_t length, struct error *err);

/* The descriptor that was sent to a socket, or -1 with *err. */
int console_receive(int socket_fd, struct error *err);

/* ---- process.c ---- */

/* Whether the command can be executed, as far as that can be told before. 0, or -1 with *err. */
int process_check(const struct oci_process *process, struct error *err);

/* Who gets the descriptor of a filter that notifies, and what is said of the process. */
struct notification {
        int fd;
        pid_t pid;
        const struct oci_state *state;
};

struct process_surroundings {
        int preserve_fds; /* so many descriptors from 3 on stay open */
        int keep_fd;      /* stays open until execve(2), on which it closes */
        int label_fd;     /* of label_open, or -1 */
        struct notification notification;
        bool dies_with_parent;
};

/* Limits, user, capabilities and filter; then execute the command. Returns only on failure. */
int process_become(const struct oci_process *process, const struct oci_filter *filter,
                   const struct process_surroundings *surroundings, struct report *report,
                   struct error *err);

/* Whether the descriptors that it shall have are open. Returns 0, or -1 with *err. */
int process_check_descriptors(int count, struct error *err);

/* oomScoreAdj, while the host's /proc can be seen; what may not be lowered is reported. */
int process_set_oom_score(const struct oci_process *process, struct report *report,
                          struct error *err);

/* ---- schedule.c ---- */

/* Each 0, or -1 with *err. */
int schedule_process(const struct oci_process *process, struct error *err);
int schedule_cpus(const struct oci_cpus *cpus, struct error *err);
int schedule_personality(const struct oci_spec *spec, struct error *err);

/* ---- label.c ---- */

/* Whether the machine has what the labels are for. mount_label may be NULL. 0, or -1 with *err. */
int label_check(const struct oci_process *process, const char *mount_label, struct error *err);

/*
 * Where the label of this process's next program goes, if it has one (label_is_needed); the
 * /proc of the host must be there. A descriptor, or -1 with *err.
 */
bool label_is_needed(const struct oci_process *process);
int label_open(const struct oci_process *process, struct error *err);

/* Have the next program labelled. Returns 0, or -1 with *err. */
int label_set(const struct oci_process *process, int fd, struct error *err);

/* ---- keyring.c ---- */

/* Have the session keyring of a container, made where there is none. 0, or -1 with *err. */
int keyring_join(const char *id, struct report *report, struct error *err);

/* ---- notify.c ---- */

/* The socket of the filter's agent. A descriptor, or -1 with *err. */
int notify_connect(const struct oci_filter *filter, struct error *err);

/* Install a filter and hand its descriptor over. Returns 0, or -1 with *err. */
int notify_install(const struct oci_filter *filter, const struct notification *notification,
                   struct error *err);

/* ---- idmap.c ---- */

/*
 * Make the mounts whose files have other owners, while this process has its first rights;
 * they become sources of the plan's entries. Returns 0, or -1 with *err.
 */
int idmap_prepare(struct oci_spec *spec, struct error *err);

/* Write the maps of another process's user namespace. Returns 0, or -1 with *err. (stage.c) */
int write_id_maps(const struct id_map *uids, const struct id_map *gids, pid_t pid,
                  struct error *err);

/* ---- hook.c ---- */

/* Run hooks with the state on their standard input. 0, or -1 with *err for the first that fails. */
int hooks_run_all(const struct oci_hooks *hooks, const struct oci_state *state, struct error *err);

/* The same for those whose failure is only reported. */
void hooks_run_late(const struct oci_hooks *hooks, const struct oci_state *state,
                    struct report *report);

/* ---- foreground.c ---- */

/* Orphans of this process's children become its own. */
void foreground_adopt(void);

/* From now on signals wait for foreground_wait, so that none is lost before. */
void foreground_hold_signals(void);

/*
 * Stand for a process until it has ended: signals are passed on, and with master_fd (or -1)
 * everything between a terminal and its own. Returns its wait(2) status.
 */
int foreground_wait(pid_t pid, int master_fd);

/* ---- control.c ---- */

/* Write a process id as decimal text to a file, in one step. NULL: none is asked for. */
int write_pid_file(const char *path, pid_t pid, struct error *err);

/* The configuration that a container was made from. Returns 0, or -1 with *err. */
int state_read_spec(const struct oci_state *state, struct oci_spec *ret, struct error *err);
