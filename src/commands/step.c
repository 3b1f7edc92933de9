/*
 * The holder of a step's container: one process a node and step, between the Slurm plugin
 * and what makes, starts and removes containers.
 *
 * It has one thread and no state on the disk but the container itself. Its descriptors
 * keep the container until the step has ended, so no process of ours needs to stay inside,
 * where the container's processes could look into it. The first task that comes
 * is told how it goes; any other one can take its place when it dies. Nothing here waits
 * but the loop: work is done by children (step_work.c).
 */
#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "commands/step_holder.h"
#include "commands/step_reap.h"

#define TASKS_LIMIT 65536 /* tasks of a node that can wait at once */

/* ---- what happens ---- */

static void answer_task(struct holder *holder, int socket)
{
        struct step_message message = {
                .kind = STEP_ENTER,
                .fds = { holder->environment_fd, holder->entrance.root },
                .fd_count = 2,
                .single_id = holder->entrance.single_id,
        };
        struct error ignored = ERROR_INIT;

        (void)snprintf(message.text, sizeof(message.text), "%s", holder->directory);
        for (size_t i = 0; i < RUNTIME_ENTRANCE_NAMESPACES; i++) {
                if (holder->entrance.namespaces[i] < 0)
                        continue;
                message.namespaces |= 1u << i;
                message.fds[message.fd_count++] = holder->entrance.namespaces[i];
        }
        if (step_send(socket, &message, &ignored) == 0)
                holder->entered++;
}

static void answer_tasks(struct holder *holder)
{
        for (size_t i = 0; i < holder->answer_count; i++) {
                if (holder->state == STATE_READY)
                        answer_task(holder, holder->answers[i]);
                else
                        (void)holder_send(holder->answers[i], STEP_FAILED, "");
                (void)close(holder->answers[i]);
        }
        holder->answer_count = 0;
}

/* Go on as far as that is possible without waiting. */
static void advance(struct holder *holder)
{
        struct error err = ERROR_INIT;
        int result = 0;

        holder_flush(holder);
        if (holder->state == STATE_NEW && holder->answer_count > 0)
                result = holder_begin(holder, &err);
        if (result == 0 && holder->state == STATE_MADE && holder->answer_count > 0)
                result = holder_begin_start(holder, &err);
        if (result < 0) {
                holder_fail(holder, err.message, false);
                holder_share_failure(holder);
        }
        holder_flush(holder);
        if (holder->state == STATE_READY || (holder->state == STATE_FAILED && !holder->asks))
                answer_tasks(holder);
}

/* The first task's environment and directory count for the start. */
static int add_task(struct holder *holder, struct step_message *message, struct error *err)
{
        int *answers;

        if (message->fd_count != 2 || holder->answer_count >= TASKS_LIMIT)
                return error_set(err, EBADMSG, "a task has sent no environment");
        answers = reallocarray(holder->answers, holder->answer_count + 1, sizeof(*answers));
        if (!answers)
                return error_no_memory(err);
        holder->answers = answers;
        if (holder->task_environment.count == 0) {
                if (chdir(message->text) < 0 && chdir("/") < 0)
                        return error_errno(err, "/");
                if (step_read_environment(message->fds[1], &holder->task_environment, err) < 0)
                        return -1;
                if (holder->task_environment.count == 0)
                        return error_set(err, EBADMSG, "a task has sent no environment");
        }
        holder_watch_task(holder, message->fds[0]);
        holder->answers[holder->answer_count++] = TAKE_FD(message->fds[0]);
        (void)close(message->fds[1]);
        message->fd_count = 0;
        return 0;
}

static void worker_has_made(struct holder *holder, int status)
{
        const char *image = holder->arguments->image;
        char reason[STEP_TEXT_SIZE];
        bool file = step_image_is_file(holder->arguments);

        holder_hear_worker(holder);
        (void)close(TAKE_FD(holder->tell_fd));
        holder->worker = 0;
        if (WIFEXITED(status) && WEXITSTATUS(status) == 0) {
                holder->state = STATE_MADE;
                /* Of many nodes, the one that has imported says so. */
                if (!file && !holder->received)
                        holder_tell(holder, "imported docker image: %s", image);
                return;
        }
        (void)snprintf(reason, sizeof(reason),
                       file ? "failed to create container filesystem for image: %s"
                            : "failed to import docker image: %s",
                       image);
        if (step_has_importer(holder->arguments)) {
                size_t length = strlen(reason);

                (void)snprintf(reason + length, sizeof(reason) - length, " (importer: %s)",
                               holder->arguments->importer);
        }
        holder_fail(holder, reason, true);
        holder_tell_signal(holder, status);
        if (!holder->transfers)
                holder_share_failure(holder);
        else if (!holder->has_image)
                holder_tell_transfer(holder, STEP_FAILED, "");
}

static void worker_has_started(struct holder *holder, int status)
{
        struct error err = ERROR_INIT;
        bool has_result = !holder->arguments->entrypoint;

        if (WIFSTOPPED(status)) {
                int result = holder_enter(holder, holder->worker, has_result, &err);

                (void)kill(holder->worker, SIGKILL);
                (void)holder_await_worker(holder);
                if (result < 0)
                        holder_fail(holder, err.message, false);
                else if (holder->arguments->entrypoint_log && !has_result)
                        holder_tell_log(holder, "");
                return;
        }
        holder->worker = 0;
        holder_fail(holder,
             has_result ? "container start failed"
                        : "container start failed: if the image has an unusual entrypoint, try "
                          "using --no-container-entrypoint",
             true);
        holder_tell_signal(holder, status);
        holder_share_failure(holder);
}

static void reap(struct holder *holder)
{
        struct signalfd_siginfo info;
        int status;
        pid_t pid;

        (void)!read(holder->signal_fd, &info, sizeof(info));
        while ((pid = waitpid(-1, &status, WNOHANG | WUNTRACED)) > 0) {
                if (pid == holder->reaper)
                        holder->reaper = 0;
                if (pid == holder->transfer)
                        holder->transfer = 0;
                if (pid == holder->failure)
                        holder->failure = 0;
                if (pid != holder->worker)
                        continue;
                if (holder->work == STEP_WORK_MAKE)
                        worker_has_made(holder, status);
                else if (holder->work == STEP_WORK_START)
                        worker_has_started(holder, status);
        }
}

/* ---- the loop ---- */

/*
 * Take a message. Returns 1 to go on; 0 at the end, with a socket for answers or -1, and whether
 * other nodes are not to be waited for.
 */
static int listen_to_plugin(struct holder *holder, int *ret_answers, bool *ret_at_once,
                            struct error *err)
{
        auto_step_message struct step_message message = STEP_MESSAGE_INIT;

        *ret_answers = -1;
        *ret_at_once = true;
        if (step_receive(holder->control_fd, &message, err) <= 0)
                return 0;
        if (message.kind == STEP_TASK && add_task(holder, &message, err) < 0)
                holder_fail(holder, err->message, false);
        if (message.kind != STEP_END)
                return 1;
        *ret_at_once = strcmp(message.text, STEP_END_NOW) == 0;
        if (message.fd_count > 0) {
                *ret_answers = message.fds[0];
                message.fds[0] = -1;
        }
        return 0;
}

static int watch_signals(struct error *err)
{
        sigset_t set;
        int fd;

        (void)sigemptyset(&set);
        (void)sigaddset(&set, SIGCHLD);
        if (sigprocmask(SIG_SETMASK, &set, NULL) < 0)
                return error_errno(err, "sigprocmask");
        fd = signalfd(-1, &set, SFD_CLOEXEC);
        return fd < 0 ? error_errno(err, "signalfd") : fd;
}

int command_step(const struct step_arguments *arguments, int control, char *const *environment,
                 struct error *err)
{
        auto_cleanup(holder_release) struct holder holder =
                HOLDER_INIT(arguments, environment, control);
        auto_close int answers = -1;
        bool early = arguments->image && !step_image_is_file(arguments), at_once = true;

        if (prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) < 0)
                return error_errno(err, "prctl");
        holder.signal_fd = watch_signals(err);
        if (holder.signal_fd < 0)
                return -1;
        holder.report = mmap(NULL, sizeof(*holder.report), PROT_READ | PROT_WRITE,
                             MAP_SHARED | MAP_ANONYMOUS, -1, 0);
        if (holder.report == MAP_FAILED) {
                holder.report = NULL;
                return error_errno(err, "mmap");
        }
        if (arguments->ports && holder_take_secret(&holder, err) < 0)
                return -1;
        if (step_reap_begin(arguments, environment, &holder.reaper, err) < 0)
                holder_fail(&holder, err->message, false);
        /* An import needs no task; a relative path is one of the first task's directory. */
        if (early && holder.state == STATE_NEW && holder_begin(&holder, err) < 0) {
                holder_fail(&holder, err->message, false);
                holder_share_failure(&holder);
        }
        for (;;) {
                struct pollfd fds[] = {
                        { .fd = holder.control_fd, .events = POLLIN },
                        { .fd = holder.signal_fd, .events = POLLIN },
                        { .fd = holder.transfer_fd, .events = POLLIN },
                        { .fd = holder.tell_fd, .events = POLLIN },
                        { .fd = holder.failure_fd, .events = POLLIN },
                };

                if (poll(fds, ARRAY_SIZE(fds), holder_tell_progress(&holder)) < 0 &&
                    errno != EINTR)
                        return error_errno(err, "poll");
                if (fds[4].revents)
                        holder_hear_failure(&holder);
                if (fds[3].revents)
                        holder_hear_worker(&holder);
                if (fds[2].revents && holder_hear_transfer(&holder, err) < 0)
                        holder_fail(&holder, err->message, false);
                if (fds[1].revents)
                        reap(&holder);
                if (fds[0].revents && listen_to_plugin(&holder, &answers, &at_once, err) == 0)
                        break;
                advance(&holder);
        }
        holder_end(&holder, answers, at_once);
        if (answers >= 0)
                (void)close(TAKE_FD(answers));
        /* Nobody waits for what it removes. */
        if (holder.reaper > 0)
                (void)waitpid(holder.reaper, NULL, 0);
        return 0;
}
