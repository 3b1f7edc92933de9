/*
 * slurmstepd: one container a node and step.
 *
 *      init_post_opt  root       the user's runtime directory
 *      user_init      the user   starts enroot-step, which begins to import
 *      task_init      the user   each task, in a process of its own, asks it for the
 *                                container and enters that
 *      task_exit      root       after the last one: the container is saved and removed
 *
 * Everything that takes long or can go wrong is done by enroot-step, with which this file
 * talks (step/step.h). What fails before there are tasks is reported by the first one: an
 * error of user_init would reach nobody, and drain the node.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "runtime/runtime.h"
#include "slurm/contexts.h"
#include "slurm/holder.h"
#include "slurm/options.h"
#include "slurm/program.h"
#include "slurm/runtime_dir.h"
#include "slurm/settings.h"
#include "step/step.h"

#define HOLDER_PATIENCE 2000 /* milliseconds */

static struct {
        bool enabled, started, ended;
        struct settings settings;
        struct step_facts facts;
        uint32_t exited;
        bool signalled;       /* a task was ended by a signal */
        int control;          /* socket to enroot-step */
        pid_t holder;         /* enroot-step */
        struct error failure; /* of user_init */
} state = { .control = -1 };

/* An error here would drain the node under a batch job, so it waits for the tasks. */
int remote_init(spank_t spank, int argc, char **argv)
{
        bool configured = settings_parse(&state.settings, argc, argv) == 0;

        /* Whether the job wants a container must be known in any case. */
        if (options_register(spank) < 0 || !configured)
                (void)error_set(&state.failure, EINVAL, "the plugin cannot be used on this node: "
                                                        "see its slurmd.log");
        return 0;
}

/* ---- as root ---- */

static int read_job(spank_t spank)
{
        const struct {
                spank_item_t item;
                void *target;
                const char *name;
        } items[] = {
                { S_JOB_UID, &state.facts.uid, "user" },
                { S_JOB_GID, &state.facts.gid, "group" },
                { S_JOB_ID, &state.facts.job, "job" },
                { S_JOB_STEPID, &state.facts.step, "step" },
                { S_JOB_NODEID, &state.facts.node, "node" },
                { S_JOB_NNODES, &state.facts.nodes, "nodes" },
                { S_JOB_LOCAL_TASK_COUNT, &state.facts.local_tasks, "tasks" },
                { S_JOB_TOTAL_TASK_COUNT, &state.facts.total_tasks, "tasks" },
        };

        for (size_t i = 0; i < ARRAY_SIZE(items); i++) {
                spank_err_t result = spank_get_item(spank, items[i].item, items[i].target);

                if (result == ESPANK_SUCCESS)
                        continue;
                slurm_error("pyxis: couldn't get the step's %s: %s", items[i].name,
                            spank_strerror(result));
                return -1;
        }
        return 0;
}

static int make_runtime_dir(struct error *err)
{
        struct step_facts *facts = &state.facts;
        const char *parent = state.settings.runtime_path;

        (void)snprintf(facts->runtime_dir, sizeof(facts->runtime_dir), "%s/%u", parent, facts->uid);
        return runtime_dir_make(parent, facts->uid, facts->gid, err);
}

/* The tasks do not get it. */
static void take_secret(spank_t spank)
{
        char *secret = state.facts.secret;

        if (spank_getenv(spank, STEP_SECRET_VARIABLE, secret, STEP_SECRET_SIZE) != ESPANK_SUCCESS)
                *secret = '\0';
        (void)spank_unsetenv(spank, STEP_SECRET_VARIABLE);
}

int remote_post_opt(spank_t spank)
{
        take_secret(spank);
        /* Slurm goes on without an option that could not be taken. */
        if (options_complete(spank) < 0 || *options_problem())
                return error_set(&state.failure, EINVAL, "%s", options_problem()), 0;
        if (!options_enabled()) {
                state.failure.code = 0; /* no container, so nothing has failed */
                return 0;
        }
        state.enabled = true;
        if (state.failure.code)
                return 0;
        if (read_job(spank) < 0)
                (void)error_set(&state.failure, EINVAL, "couldn't get information about the step");
        else
                (void)make_runtime_dir(&state.failure);
        return 0;
}

/* ---- as the user, before there are tasks ---- */

/* Arguments are in /proc for every user; this is not. */
static int send_secret(int control, struct error *err)
{
        struct step_message message = { .kind = STEP_SECRET };

        if (!step_has_peers(&state.settings, &state.facts))
                return 0;
        (void)snprintf(message.text, sizeof(message.text), "%s", state.facts.secret);
        return step_send(control, &message, err);
}

static int start_holder(spank_t spank, struct error *err)
{
        auto_strlist struct strlist arguments = STRLIST_INIT, environment = STRLIST_INIT;
        auto_close int ours = -1, its = -1;
        struct program program = {
                .path = state.settings.enroot,
                .arguments = &arguments,
                .environment = &environment,
                .uid = state.facts.uid,
                .gid = state.facts.gid,
        };
        int sockets[2];

        if (holder_arguments(spank, &state.settings, &state.facts, &arguments, err) < 0 ||
            holder_environment(spank, &state.settings, &state.facts, &environment, err) < 0)
                return -1;
        if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sockets) < 0)
                return error_errno(err, "socketpair");
        ours = sockets[0];
        program.input = its = sockets[1];
        /* Only root sets groups; a user has those of the job by now. */
        if (spank_get_item(spank, S_JOB_SUPPLEMENTARY_GIDS, &program.groups,
                           &program.group_count) != ESPANK_SUCCESS)
                program.group_count = 0;
        if (send_secret(ours, err) < 0)
                return -1;
        state.holder = program_start(&program, err);
        if (state.holder < 0)
                return -1;
        state.control = TAKE_FD(ours);
        state.started = true;
        return 0;
}

int remote_user_init(spank_t spank)
{
        if (state.enabled && !state.failure.code)
                (void)start_holder(spank, &state.failure);
        return 0;
}

/* ---- answers ---- */

/* A socket of our own for the answers to a message. Returns it, or -1 with *err. */
static int ask(struct step_message *message, int environment, struct error *err)
{
        auto_close int answers = -1, other = -1;
        int sockets[2];

        if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sockets) < 0)
                return error_errno(err, "socketpair");
        answers = sockets[0];
        other = sockets[1];
        message->fds[0] = other;
        message->fds[1] = environment;
        message->fd_count = environment < 0 ? 1 : 2;
        if (step_send(state.control, message, err) < 0) {
                (void)error_append(err, " to enroot: is it in slurmd's PATH?");
                return -1;
        }
        return TAKE_FD(answers);
}

/*
 * Print answers until there is an entrance, for which it returns 1; 0 when enroot has said
 * that there will be none. -1 with *err: ECHILD at an end without either.
 */
static int hear(int answers, struct step_message *ret, struct error *err)
{
        for (;;) {
                int result = step_receive(answers, ret, err);

                if (result == 0)
                        return error_set(err, ECHILD,
                                         "enroot has ended before there was a container: is it "
                                         "in slurmd's PATH, or was it killed, for lack of memory?");
                if (result < 0 || ret->kind == STEP_FAILED)
                        return result < 0 ? -1 : 0;
                if (ret->kind == STEP_ENTER)
                        return 1;
                if (ret->kind == STEP_ERROR)
                        slurm_error("pyxis: %s", ret->text);
                else if (ret->kind == STEP_INFO)
                        slurm_spank_log("pyxis: %s", ret->text);
                step_message_release(ret);
        }
}

/* ---- in each task ---- */

/* A variable of the container wins unless the user has named it. */
static int import_variable(spank_t spank, char *variable, struct error *err)
{
        char *value = strchr(variable, '=');
        spank_err_t result;

        *value = '\0';
        result = spank_setenv(spank, variable, value + 1,
                              !strlist_contains(&options_get()->env, variable));
        if (result == ESPANK_SUCCESS || result == ESPANK_ENV_EXISTS)
                return 0;
        return error_set(err, EINVAL, "couldn't set %s: %s", variable, spank_strerror(result));
}

/* torchrun's variables differ from task to task. */
static void set_torch_ranks(spank_t spank)
{
        static const struct {
                const char *slurm, *torch;
        } names[] = {
                { "SLURM_PROCID", "RANK" },
                { "SLURM_LOCALID", "LOCAL_RANK" },
        };
        char value[32];

        if (spank_getenv(spank, "PYTORCH_VERSION", value, sizeof(value)) == ESPANK_ENV_NOEXIST)
                return;
        for (size_t i = 0; i < ARRAY_SIZE(names); i++)
                if (spank_getenv(spank, names[i].slurm, value, sizeof(value)) == ESPANK_SUCCESS)
                        (void)spank_setenv(spank, names[i].torch, value, 1);
}

static int import_environment(spank_t spank, int fd, struct error *err)
{
        /* The node's languages are not the container's. */
        static const char *const locale[] = { "LANG", "LANGUAGE", "LC_ALL" };
        auto_strlist struct strlist environment = STRLIST_INIT;

        if (step_read_environment(fd, &environment, err) < 0)
                return -1;
        for (size_t i = 0; i < ARRAY_SIZE(locale); i++)
                if (!strlist_contains(&options_get()->env, locale[i]))
                        (void)spank_unsetenv(spank, locale[i]);
        for (size_t i = 0; i < environment.count; i++)
                if (import_variable(spank, environment.items[i], err) < 0)
                        return -1;
        set_torch_ranks(spank);
        return 0;
}

static int check_unshared(const struct runtime_entrance *entrance, struct error *err)
{
        const struct options *options = options_get();
        const struct {
                bool wanted;
                int fd;
                const char *name;
        } list[] = {
                { options->unshare_ipc, entrance->namespaces[3], "ipc" },
                { options->unshare_uts, entrance->namespaces[4], "uts" },
                { options->unshare_net, entrance->namespaces[5], "net" },
        };

        for (size_t i = 0; i < ARRAY_SIZE(list); i++)
                if (list[i].wanted && list[i].fd < 0)
                        return error_set(err, EINVAL,
                                         "error: --container-unshare=%s requested but the "
                                         "container is not in a namespace of its own",
                                         list[i].name);
        return 0;
}

static int enter(spank_t spank, const struct step_message *message, struct error *err)
{
        struct runtime_entrance entrance = RUNTIME_ENTRANCE_INIT;
        size_t at = 2;

        if (message->fd_count < 2)
                return error_set(err, EBADMSG, "enroot has sent no container");
        entrance.root = message->fds[1];
        entrance.single_id = message->single_id;
        for (size_t i = 0; i < RUNTIME_ENTRANCE_NAMESPACES; i++)
                if (message->namespaces & 1u << i && at < message->fd_count)
                        entrance.namespaces[i] = message->fds[at++];
        if (check_unshared(&entrance, err) < 0 ||
            import_environment(spank, message->fds[0], err) < 0)
                return -1;
        return runtime_entrance_enter(&entrance, message->text, err);
}

static int join(spank_t spank, struct error *err)
{
        auto_step_message struct step_message message = { .kind = STEP_TASK };
        auto_strlist struct strlist environment = STRLIST_INIT;
        auto_close int answers = -1, memory = -1;
        int result;

        if (!getcwd(message.text, sizeof(message.text)))
                (void)snprintf(message.text, sizeof(message.text), "/");
        if (holder_environment(spank, &state.settings, &state.facts, &environment, err) < 0)
                return -1;
        memory = step_write_environment(environment.items, err);
        if (memory < 0)
                return -1;
        answers = ask(&message, memory, err);
        message.fd_count = 0; /* they are not the message's to close */
        if (answers < 0)
                return -1;
        (void)close(TAKE_FD(state.control));
        result = hear(answers, &message, err);
        if (result <= 0)
                return -1;
        return enter(spank, &message, err);
}

/* Only one task a node says what all of them know. */
static bool is_first(spank_t spank)
{
        int task = 0;

        return spank_get_item(spank, S_TASK_ID, &task) != ESPANK_SUCCESS || task == 0;
}

/* Have the task in its container. Returns 0, or -1 after the error has been told. */
static int prepare_task(spank_t spank)
{
        struct error err = ERROR_INIT;

        if (state.failure.code) {
                if (is_first(spank))
                        slurm_error("pyxis: %s", state.failure.message);
                return -1;
        }
        if (!state.enabled || join(spank, &err) == 0)
                return 0;
        /* Without a code, enroot has told the first task why. All lack the same thing. */
        if (err.code && ((err.code != ENOENT && err.code != ECHILD) || is_first(spank)))
                slurm_error("pyxis: %s", err.message);
        return -1;
}

int remote_task_init(spank_t spank)
{
        /*
         * A task that waits for an import must be one that scancel can end: Slurm's
         * proctrack/linuxproc signals nothing that is called slurmstepd.
         */
        if (state.enabled)
                (void)prctl(PR_SET_NAME, "enroot-task");
        /*
         * This process is the task's own and ends as Slurm would end it (exec_task), but
         * without two lines from each task that bury the one which says why. Nor does a
         * plugin that plugstack.conf calls optional let the command run outside.
         */
        if (prepare_task(spank) < 0)
                _exit(EXIT_FAILURE);
        return 0;
}

/* ---- the end ---- */

/* Slurm removes the step's control group, which must have no process any more. */
static void wait_for_holder(void)
{
        auto_close int process = (int)syscall(SYS_pidfd_open, state.holder, 0);
        struct pollfd end = { .fd = process, .events = POLLIN };

        if (process >= 0)
                (void)poll(&end, 1, HOLDER_PATIENCE);
}

/* Have the container saved and removed, and wait for that, as long as something is heard. */
static void end_step(void)
{
        auto_step_message struct step_message message = { .kind = STEP_END };
        const struct timeval silence = { .tv_sec = STEP_SILENCE };
        auto_close int control = -1, answers = -1;
        struct error ignored = ERROR_INIT;

        if (!state.started || state.ended)
                return;
        state.ended = true;
        /* Who was ended does not wait until the other nodes have their image. */
        if (state.signalled || state.exited < state.facts.local_tasks)
                (void)snprintf(message.text, sizeof(message.text), STEP_END_NOW);
        answers = ask(&message, -1, &ignored);
        message.fd_count = 0;
        control = TAKE_FD(state.control);
        if (answers < 0 ||
            setsockopt(answers, SOL_SOCKET, SO_RCVTIMEO, &silence, sizeof(silence)) < 0)
                return;
        (void)hear(answers, &message, &ignored);
        /* The user has stopped it, or the file system that it is at. */
        if (ignored.code == EAGAIN) {
                slurm_error("pyxis: enroot says nothing any more: killed");
                program_kill(state.holder, state.facts.uid);
        }
        wait_for_holder();
}

int remote_task_exit(spank_t spank)
{
        int status = 0;

        if (spank_get_item(spank, S_TASK_EXIT_STATUS, &status) == ESPANK_SUCCESS)
                state.signalled |= WIFSIGNALED(status);
        state.exited++;
        if (state.exited >= state.facts.local_tasks)
                end_step();
        return 0;
}

int remote_exit(spank_t spank)
{
        (void)spank;
        end_step();
        return 0;
}
