/*
 * Another process in a container. As in its creation, one process enters the namespaces
 * and forks the one that becomes the command; this one stays outside.
 */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "env/env.h"
#include "oci/cgroup.h"
#include "oci/container.h"
#include "util/io.h"

struct joining {
        const struct oci_exec *exec;
        struct report *report;
        struct oci_state state;
        struct oci_spec spec;
        struct oci_process given, *process; /* the one that is to run */
        struct oci_filter filter;
        int channel, console_fd, notify_fd, label_fd;
};

static void joining_release(struct joining *joining)
{
        oci_state_release(&joining->state);
        oci_spec_release(&joining->spec);
        oci_process_release(&joining->given);
        oci_filter_release(&joining->filter);
        const int fds[] = { joining->channel, joining->console_fd, joining->notify_fd,
                            joining->label_fd };

        for (size_t i = 0; i < ARRAY_SIZE(fds); i++)
                if (fds[i] >= 0)
                        (void)close(fds[i]);
}

/* ---- what is to run ---- */

static int read_process(struct joining *joining, struct error *err)
{
        const char *path = joining->exec->process_file;
        auto_strbuf struct strbuf text = STRBUF_INIT;

        if (io_read_file(AT_FDCWD, path, OCI_CONFIG_LIMIT, &text, err) < 0)
                return -1;
        if (oci_process_parse(strbuf_text(&text), text.length, &joining->given, err) < 0)
                return error_prefix(err, "--process %s", path);
        joining->process = &joining->given;
        return 0;
}

static int parse_id(const char *text, uint32_t *ret, struct error *err)
{
        char *end;
        unsigned long long number = strtoull(text, &end, 10);

        if (end == text || *end || *text == '-' || number >= UINT32_MAX)
                return error_set(err, EINVAL, "\"%.50s\" is no user or group id", text);
        *ret = (uint32_t)number;
        return 0;
}

/* "UID" or "UID:GID" */
static int set_user(const char *word, struct oci_process *process, struct error *err)
{
        auto_free char *uid = strndup(word, strcspn(word, ":"));
        const char *colon = strchr(word, ':');

        if (!uid)
                return error_no_memory(err);
        if (parse_id(uid, &process->uid, err) < 0)
                return -1;
        return colon ? parse_id(colon + 1, &process->gid, err) : 0;
}

static int add_groups(const struct strlist *words, struct oci_process *process, struct error *err)
{
        gid_t *groups;

        if (!words || words->count == 0)
                return 0;
        groups = reallocarray(process->groups, process->group_count + words->count,
                              sizeof(*groups));
        if (!groups)
                return error_no_memory(err);
        process->groups = groups;
        for (size_t i = 0; i < words->count; i++)
                if (parse_id(words->items[i], &groups[process->group_count++], err) < 0)
                        return -1;
        return 0;
}

static int add_capabilities(const struct strlist *words, struct oci_process *process,
                            struct error *err)
{
        struct oci_capabilities *sets = &process->capabilities;

        for (size_t i = 0; words && i < words->count; i++) {
                int number = oci_capability_number(words->items[i]);

                if (number < 0)
                        return error_set(err, EINVAL, "--cap %.50s: no such capability",
                                         words->items[i]);
                sets->bounding |= UINT64_C(1) << number;
                sets->permitted |= UINT64_C(1) << number;
                sets->effective |= UINT64_C(1) << number;
                sets->inheritable |= UINT64_C(1) << number;
        }
        return 0;
}

/* The container's own process with other words. */
static int change_process(struct joining *joining, struct error *err)
{
        const struct oci_exec *exec = joining->exec;
        struct oci_process *process = &joining->spec.process;

        strlist_release(&process->args);
        for (char *const *word = exec->command; *word; word++)
                if (strlist_append(&process->args, *word) < 0)
                        return error_no_memory(err);
        for (size_t i = 0; exec->env && i < exec->env->count; i++) {
                const char *word = exec->env->items[i], *equals = strchr(word, '=');
                auto_free char *name = equals ? strndup(word, (size_t)(equals - word)) : NULL;

                if (!equals)
                        return error_set(err, EINVAL, "--env %.100s: not KEY=VALUE", word);
                if (!name || env_set(&process->env, name, equals + 1) < 0)
                        return error_no_memory(err);
        }
        if (exec->cwd) {
                free(process->cwd);
                process->cwd = strdup(exec->cwd);
                if (!process->cwd)
                        return error_no_memory(err);
        }
        if (exec->user && set_user(exec->user, process, err) < 0)
                return -1;
        process->terminal = exec->terminal;
        process->rows = process->columns = 0;
        process->no_new_privileges |= exec->no_new_privileges;
        joining->process = process;
        if (add_groups(exec->groups, process, err) < 0)
                return -1;
        return add_capabilities(exec->capabilities, process, err);
}

/* Those of the command line, which count before all others. */
static int set_labels(struct joining *joining, struct error *err)
{
        const struct oci_exec *exec = joining->exec;
        const struct {
                const char *given;
                char **label;
        } labels[] = {
                { exec->apparmor_profile, &joining->process->apparmor_profile },
                { exec->selinux_label, &joining->process->selinux_label },
        };

        for (size_t i = 0; i < ARRAY_SIZE(labels); i++) {
                if (!labels[i].given)
                        continue;
                free(*labels[i].label);
                *labels[i].label = strdup(labels[i].given);
                if (!*labels[i].label)
                        return error_no_memory(err);
        }
        return 0;
}

static int prepare(struct joining *joining, struct error *err)
{
        const struct oci_exec *exec = joining->exec;
        auto_close int root_fd = oci_state_open(exec->root, exec->id, &joining->state, err);

        if (root_fd < 0)
                return -1;
        if (joining->state.status == OCI_PAUSED && !exec->ignore_paused)
                return error_set(err, EBUSY, "container %s is paused: resume it, or use "
                                             "--ignore-paused",
                                 exec->id);
        if (joining->state.status == OCI_CREATING || joining->state.status == OCI_STOPPED)
                return error_set(err, ESRCH, "container %s is not running", exec->id);
        if (state_read_spec(&joining->state, &joining->spec, err) < 0)
                return -1;
        if (exec->process_file ? read_process(joining, err) < 0 : change_process(joining, err) < 0)
                return -1;
        if (set_labels(joining, err) < 0 || label_check(joining->process, NULL, err) < 0)
                return -1;
        if (!joining->spec.seccomp)
                return 0;
        if (oci_filter_compile(joining->spec.seccomp, &joining->filter, err) < 0)
                return -1;
        if (joining->filter.notifies)
                joining->notify_fd = notify_connect(&joining->filter, err);
        return joining->filter.notifies && joining->notify_fd < 0 ? -1 : 0;
}

/* ---- the processes ---- */

static _Noreturn void become(struct joining *joining, const struct join_target *target,
                             int namespaces)
{
        struct process_surroundings surroundings = {
                .preserve_fds = joining->exec->preserve_fds,
                .keep_fd = joining->channel,
                .notification = { .fd = joining->notify_fd, .state = &joining->state },
                .dies_with_parent = !joining->exec->detach,
        };
        struct error err = ERROR_INIT;

        (void)setsid();
        if (label_is_needed(joining->process))
                joining->label_fd = label_open(joining->process, &err);
        surroundings.label_fd = joining->label_fd;
        if (err.code == 0 && join_target_setns(target, namespaces, &err) == 0 &&
            message_receive(joining->channel, MESSAGE_GO, &surroundings.notification.pid, &err) ==
                    0 &&
            (!joining->state.own_keyring ||
             keyring_join(joining->state.id, joining->report, &err) == 0) &&
            schedule_personality(&joining->spec, &err) == 0 &&
            (joining->console_fd < 0 ||
             console_make(joining->process, joining->console_fd, false, &err) == 0) &&
            process_check(joining->process, &err) == 0)
                (void)process_become(joining->process, &joining->filter, &surroundings,
                                     joining->report, &err);
        message_fail(joining->channel, &err);
}

static int enter(struct joining *joining, pid_t *ret, struct error *err)
{
        /* Those of processes and time are for children. */
        const int first = CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWTIME;
        auto_join_target struct join_target target = JOIN_TARGET_INIT;
        const struct oci_state *state = &joining->state;
        int namespaces;

        if (schedule_cpus(&joining->process->initial_cpus, err) < 0 ||
            cgroups_join(&state->cgroups, joining->exec->cgroup, getpid(), err) < 0 ||
            schedule_cpus(&joining->process->final_cpus, err) < 0 ||
            process_set_oom_score(joining->process, joining->report, err) < 0 ||
            join_target_open(&target, state->pid, err) < 0 ||
            join_target_compare(&target, JOIN_ALL | CLONE_NEWTIME, &namespaces, err) < 0)
                return -1;
        /* The namespaces are held by now: the process they were looked up by still is the one. */
        if (state_process_start(state->pid) != state->start)
                return error_set(err, ESRCH, "container %s has ended", state->id);
        if (join_target_setns(&target, namespaces & first, err) < 0)
                return -1;
        *ret = fork();
        if (*ret == 0)
                become(joining, &target, namespaces & ~first);
        return *ret < 0 ? error_errno(err, "cannot start a process") : 0;
}

static _Noreturn void run_joiner(struct joining *joining)
{
        struct error err = ERROR_INIT;
        pid_t child = -1;

        if (enter(joining, &child, &err) < 0)
                message_fail(joining->channel, &err);
        _exit(message_send(joining->channel, MESSAGE_PID, child, &err) < 0);
}

static int fork_joiner(struct joining *joining, pid_t *ret_pid, struct error *err)
{
        int channel[2], result;
        pid_t joiner;

        if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, channel) < 0)
                return error_errno(err, "sockets");
        joiner = fork();
        if (joiner == 0) {
                (void)close(channel[0]);
                joining->channel = channel[1];
                run_joiner(joining);
        }
        (void)close(channel[1]);
        joining->channel = channel[0];
        if (joining->console_fd >= 0)
                (void)close(TAKE_FD(joining->console_fd));
        if (joiner < 0)
                return error_errno(err, "cannot start a process");
        result = message_receive(joining->channel, MESSAGE_PID, ret_pid, err);
        while (waitpid(joiner, NULL, 0) < 0 && errno == EINTR)
                ;
        return result;
}

/* Nothing more comes when it has become the command. */
static int confirm(struct joining *joining, pid_t pid, struct error *err)
{
        struct message message;
        ssize_t size;

        if (message_send(joining->channel, MESSAGE_GO, pid, err) < 0)
                return -1;
        do
                size = recv(joining->channel, &message, sizeof(message), 0);
        while (size < 0 && errno == EINTR);
        if (size != sizeof(message))
                return 0;
        *err = message.error;
        return -1;
}

/* Unreaped, it would keep the container's pid namespace from ending. */
static void end(pid_t pid)
{
        (void)kill(pid, SIGKILL);
        while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
                ;
}

static int open_console(struct joining *joining, int *ret_terminal, struct error *err)
{
        const struct oci_exec *exec = joining->exec;
        int sockets[2];

        if (!joining->process->terminal)
                return 0;
        if (exec->console_socket) {
                joining->console_fd = socket_connect(exec->console_socket, "--console-socket", err);
                return joining->console_fd < 0 ? -1 : 0;
        }
        if (exec->detach)
                return error_set(err, EINVAL, "a terminal needs --console-socket with --detach");
        if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sockets) < 0)
                return error_errno(err, "sockets");
        *ret_terminal = sockets[0];
        joining->console_fd = sockets[1];
        return 0;
}

int oci_exec(const struct oci_exec *exec, struct report *report, int *ret_status,
             struct error *err)
{
        auto_cleanup(joining_release) struct joining joining = {
                .exec = exec,
                .report = report,
                .state = OCI_STATE_INIT,
                .channel = -1,
                .console_fd = -1,
                .notify_fd = -1,
                .label_fd = -1,
        };
        auto_close int terminal = -1, master = -1;
        pid_t pid = -1;

        *ret_status = 0;
        if (process_check_descriptors(exec->preserve_fds, err) < 0 || prepare(&joining, err) < 0 ||
            open_console(&joining, &terminal, err) < 0)
                return -1;
        foreground_adopt();
        if (!exec->detach)
                foreground_hold_signals();
        if (fork_joiner(&joining, &pid, err) < 0)
                return -1;
        if (confirm(&joining, pid, err) < 0 || write_pid_file(exec->pid_file, pid, err) < 0 ||
            (terminal >= 0 && (master = console_receive(terminal, err)) < 0)) {
                end(pid);
                return -1;
        }
        if (exec->detach)
                return 0;
        *ret_status = foreground_wait(pid, master);
        return 0;
}
