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
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "commands/container.h"
#include "commands/place.h"
#include "commands/step_work.h"
#include "runtime/runtime.h"
#include "step/step.h"
#include "util/io.h"

#define TASKS_LIMIT 65536       /* tasks of a node that can wait at once */
#define LOG_LIMIT   (1u << 20)  /* bytes of output that are looked at after a failure */
#define END_TRIES   5000        /* milliseconds for killed processes to be gone */
#define STATE_LIMIT (16u << 20) /* bytes of an environment and a path */

enum state {
        STATE_NEW,
        STATE_MAKING,  /* a child imports */
        STATE_MADE,    /* waits for a task, whose environment the start needs */
        STATE_STARTING,
        STATE_READY,
        STATE_FAILED,
};

struct holder {
        const struct step_arguments *arguments;
        char *const *environment; /* the job's */
        enum state state;
        int control_fd, signal_fd;

        struct strlist lines;  /* for the first task: what it has not been told yet */
        bool lines_are_errors; /* all of them */
        int *answers;          /* of the tasks that wait */
        size_t answer_count;
        struct strlist task_environment; /* of the first task */

        pid_t worker; /* 0: none */
        enum step_work work;
        int log_fd, result_fd; /* of the worker */

        char *target; /* an image file or a container's name */
        pid_t running; /* a process of the container, which runs already; 0: none */
        bool made;     /* a temporary container is on the disk, or part of one */

        struct runtime_entrance entrance;
        int environment_fd; /* of the container's processes */
        char *directory;    /* that they begin in */
        unsigned int entered;
};

#define HOLDER_INIT(arguments_, environment_, control_)                                            \
        {                                                                                          \
                .arguments = (arguments_), .environment = (environment_),                          \
                .control_fd = (control_), .signal_fd = -1, .log_fd = -1, .result_fd = -1,          \
                .environment_fd = -1, .entrance = RUNTIME_ENTRANCE_INIT,                           \
        }

static void holder_release(struct holder *holder)
{
        int *fds[] = { &holder->control_fd, &holder->signal_fd, &holder->log_fd, &holder->result_fd,
                       &holder->environment_fd };

        for (size_t i = 0; i < ARRAY_SIZE(fds); i++)
                if (*fds[i] >= 0)
                        (void)close(TAKE_FD(*fds[i]));
        for (size_t i = 0; i < holder->answer_count; i++)
                (void)close(holder->answers[i]);
        free(holder->answers);
        free(holder->target);
        free(holder->directory);
        strlist_release(&holder->lines);
        strlist_release(&holder->task_environment);
        runtime_entrance_release(&holder->entrance);
}

/* ---- what the tasks are told ---- */

static int send_line(int socket, enum step_kind kind, const char *line)
{
        struct step_message message = { .kind = kind };
        struct error ignored = ERROR_INIT;

        (void)snprintf(message.text, sizeof(message.text), "%s", line);
        return step_send(socket, &message, &ignored);
}

static void forget_task(struct holder *holder, size_t i)
{
        (void)close(holder->answers[i]);
        holder->answer_count--;
        memmove(holder->answers + i, holder->answers + i + 1,
                (holder->answer_count - i) * sizeof(*holder->answers));
}

/* Tell the first task that can hear it. */
static void flush_lines(struct holder *holder)
{
        while (holder->lines.count > 0 && holder->answer_count > 0) {
                enum step_kind kind = holder->lines_are_errors ? STEP_ERROR : STEP_INFO;

                if (send_line(holder->answers[0], kind, holder->lines.items[0]) < 0)
                        forget_task(holder, 0);
                else
                        strlist_remove(&holder->lines, 0);
        }
}

/* Without memory there is one line less. */
static void tell(struct holder *holder, const char *fmt, ...)
        __attribute__((format(printf, 2, 3)));

static void tell(struct holder *holder, const char *fmt, ...)
{
        char *line = NULL;
        va_list args;

        va_start(args, fmt);
        if (vasprintf(&line, fmt, args) >= 0)
                (void)strlist_append_owned(&holder->lines, line);
        va_end(args);
}

/* What the worker has printed, line by line, with something in front. */
static void tell_log(struct holder *holder, const char *indent)
{
        auto_strbuf struct strbuf text = STRBUF_INIT;
        struct error ignored = ERROR_INIT;
        char *rest, *line;

        if (holder->log_fd < 0 || lseek(holder->log_fd, 0, SEEK_SET) < 0)
                return;
        (void)io_read_fd(holder->log_fd, "log", LOG_LIMIT, &text, &ignored);
        rest = text.data;
        while ((line = strsep(&rest, "\n")) != NULL)
                if (*line)
                        tell(holder, "%s%s", indent, line);
}

static void fail(struct holder *holder, const char *reason, bool with_log)
{
        holder->state = STATE_FAILED;
        /* What was still to be told is of no interest any more. */
        strlist_release(&holder->lines);
        holder->lines_are_errors = true;
        tell(holder, "%s", reason);
        if (!with_log)
                return;
        tell(holder, "printing enroot log file:");
        tell_log(holder, "    ");
}

/* ---- work ---- */

static struct step_job job_of(const struct holder *holder)
{
        return (struct step_job){
                .arguments = holder->arguments,
                .environment = holder->environment,
                .target = holder->target,
                .log_fd = holder->log_fd,
                .result_fd = holder->result_fd,
        };
}

static int new_memory(int *fd, const char *name, struct error *err)
{
        if (*fd >= 0)
                (void)close(TAKE_FD(*fd));
        *fd = memfd_create(name, MFD_CLOEXEC);
        return *fd < 0 ? error_errno(err, "memfd_create") : 0;
}

static int begin_work(struct holder *holder, enum step_work work, struct error *err)
{
        struct step_job job;
        pid_t worker;

        if (new_memory(&holder->log_fd, "enroot-log", err) < 0 ||
            new_memory(&holder->result_fd, "enroot-result", err) < 0)
                return -1;
        job = job_of(holder);
        if (work == STEP_WORK_START)
                job.environment = holder->task_environment.items;
        worker = step_work_begin(work, &job, err);
        if (worker < 0)
                return -1;
        holder->work = work;
        holder->worker = worker;
        return 0;
}

/* Wait for a worker that has been told to end, or that has no reason not to. */
static int await_worker(struct holder *holder)
{
        pid_t worker = TAKE(holder->worker, 0);
        int status = 0;

        while (waitpid(worker, &status, 0) < 0)
                if (errno != EINTR)
                        return -1;
        return WIFEXITED(status) && WEXITSTATUS(status) == 0 ? 0 : -1;
}

/* ---- which container ---- */

/* A process of the container, or 0. */
static int find_running(const struct config *config, const char *name, pid_t *ret,
                        struct error *err)
{
        auto_runtime_processes struct runtime_processes processes = { .items = NULL };

        *ret = 0;
        if (runtime_processes_read(config->data_path, &processes, err) < 0)
                return -1;
        for (size_t i = 0; i < processes.count; i++)
                if (processes.items[i].container && strcmp(processes.items[i].container, name) == 0)
                        *ret = processes.items[i].pid;
        return 0;
}

/* Whether the container of a name exists, and runs. */
static int look_up(const char *name, char *const *environment, bool *ret_exists, pid_t *ret_running,
                   struct error *err)
{
        auto_config struct config config = { 0 };
        auto_place struct place place = PLACE_INIT;

        if (config_load(&config, environment, err) < 0 || container_check_name(name, err) < 0)
                return -1;
        *ret_exists = place_find(&place, &config, name, err) == 0;
        if (!*ret_exists && err->code != ENOENT)
                return -1;
        return *ret_exists ? find_running(&config, name, ret_running, err) : 0;
}

/*
 * What is to be done for a named container, by Pyxis' rules. Returns 1 when it is there;
 * 0 when it must be made; -1 with *err.
 */
static int choose_named(struct holder *holder, struct error *err)
{
        const struct step_arguments *arguments = holder->arguments;
        bool exists = false;
        pid_t running = 0;

        if (look_up(arguments->name, holder->environment, &exists, &running, err) < 0)
                return -1;
        if (exists && arguments->rule == STEP_NAME_CREATE)
                return error_set(err, EEXIST,
                                 "error: \"create\" flag was passed to --container-name but the "
                                 "container already exists");
        if (running == 0 && arguments->rule == STEP_NAME_EXEC)
                return error_set(err, ESRCH,
                                 "error: \"exec\" flag was passed to --container-name but the "
                                 "container is not running");
        if (!exists && !arguments->image)
                return error_set(err, ENOENT,
                                 "error: a container with name \"%s\" does not exist, and "
                                 "--container-image is not set",
                                 arguments->name);
        if (arguments->rule != STEP_NAME_NO_EXEC)
                holder->running = running;
        return exists;
}

/* Begin what can be done before a task is there. Returns 0, or -1 with *err. */
static int begin(struct holder *holder, struct error *err)
{
        const struct step_arguments *arguments = holder->arguments;
        int exists = arguments->temporary ? 0 : choose_named(holder, err);

        if (exists < 0)
                return -1;
        holder->state = STATE_MADE;
        if (exists > 0)
                return 0;
        if (step_image_is_file(arguments) && !step_needs_container(arguments))
                return 0;
        if (!step_image_is_file(arguments) && arguments->announce)
                tell(holder, "importing docker image: %s", arguments->image);
        if (begin_work(holder, STEP_WORK_MAKE, err) < 0)
                return -1;
        holder->made = arguments->temporary && step_needs_container(arguments);
        holder->state = STATE_MAKING;
        return 0;
}

/* ---- the start ---- */

/* The result of a start without /etc/rc: the directory and the variables. */
static int read_result(struct holder *holder, struct strlist *environment, struct error *err)
{
        auto_strbuf struct strbuf text = STRBUF_INIT;

        if (lseek(holder->result_fd, 0, SEEK_SET) < 0)
                return error_errno(err, "result");
        if (io_read_fd(holder->result_fd, "result", STATE_LIMIT, &text, err) < 0)
                return -1;
        for (size_t at = 0; at < text.length; at += strlen(text.data + at) + 1) {
                if (at > 0 ? strlist_append(environment, text.data + at) < 0
                           : !(holder->directory = strdup(text.data)))
                        return error_no_memory(err);
        }
        return holder->directory ? 0 : error_set(err, ENODATA, "the start has said nothing");
}

/* Of a process that has come there by itself. */
static int read_process(struct holder *holder, pid_t pid, struct strlist *environment,
                        struct error *err)
{
        char link[32], path[PATH_MAX];
        ssize_t length;

        (void)snprintf(link, sizeof(link), "/proc/%d/cwd", pid);
        length = readlink(link, path, sizeof(path) - 1);
        holder->directory = strndup(length > 0 && *path == '/' ? path : "/",
                                    length > 0 && *path == '/' ? (size_t)length : 1);
        if (!holder->directory)
                return error_no_memory(err);
        return runtime_read_environment(pid, environment, err);
}

/* Variables of a step that say where a task is in it: never those of another task. */
static bool is_of_task(const char *variable)
{
        static const char *const prefixes[] = { "SLURM", "PMI_", "PMIX_", "PYXIS_", "ENROOT_" };

        for (size_t i = 0; i < ARRAY_SIZE(prefixes); i++)
                if (strncmp(variable, prefixes[i], strlen(prefixes[i])) == 0)
                        return true;
        return false;
}

static void drop_variables_of_task(struct strlist *environment)
{
        for (size_t i = environment->count; i-- > 0;)
                if (is_of_task(environment->items[i]))
                        strlist_remove(environment, i);
}

/* Take hold of the container that a process is in. */
static int enter_state_ready(struct holder *holder, pid_t pid, bool has_result, struct error *err)
{
        auto_strlist struct strlist environment = STRLIST_INIT;
        const char *directory = holder->arguments->directory;

        if (runtime_entrance_open(pid, &holder->entrance, err) < 0)
                return -1;
        if ((has_result ? read_result(holder, &environment, err)
                        : read_process(holder, pid, &environment, err)) < 0)
                return -1;
        if (holder->running)
                drop_variables_of_task(&environment);
        if (strlist_append(&environment, "") < 0)
                return error_no_memory(err);
        strlist_remove(&environment, environment.count - 1); /* items are there, and end in NULL */
        holder->environment_fd = step_write_environment(environment.items, err);
        if (holder->environment_fd < 0)
                return -1;
        if (directory) {
                free(holder->directory);
                holder->directory = strdup(directory);
                if (!holder->directory)
                        return error_no_memory(err);
        }
        holder->state = STATE_READY;
        return 0;
}

static int begin_start(struct holder *holder, struct error *err)
{
        const struct step_arguments *arguments = holder->arguments;

        if (holder->running)
                return enter_state_ready(holder, holder->running, false, err);
        if (!arguments->temporary || holder->made) {
                holder->target = strdup(arguments->name);
                if (!holder->target)
                        return error_no_memory(err);
        } else {
                const struct step_job job = job_of(holder);

                holder->target = step_find_image(&job, err);
                if (!holder->target)
                        return -1;
        }
        if (begin_work(holder, STEP_WORK_START, err) < 0)
                return -1;
        holder->state = STATE_STARTING;
        return 0;
}

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
                (void)close(holder->answers[i]);
        }
        holder->answer_count = 0;
}

/* Go on as far as that is possible without waiting. */
static void advance(struct holder *holder)
{
        struct error err = ERROR_INIT;
        int result = 0;

        flush_lines(holder);
        if (holder->state == STATE_NEW && holder->answer_count > 0)
                result = begin(holder, &err);
        if (result == 0 && holder->state == STATE_MADE && holder->answer_count > 0)
                result = begin_start(holder, &err);
        if (result < 0)
                fail(holder, err.message, false);
        flush_lines(holder);
        if (holder->state == STATE_READY || holder->state == STATE_FAILED)
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

        holder->worker = 0;
        if (WIFEXITED(status) && WEXITSTATUS(status) == 0) {
                holder->state = STATE_MADE;
                if (!file)
                        tell(holder, "imported docker image: %s", image);
                return;
        }
        (void)snprintf(reason, sizeof(reason),
                       file ? "failed to create container filesystem for image: %s"
                            : "failed to import docker image: %s",
                       image);
        fail(holder, reason, true);
}

static void worker_has_started(struct holder *holder, int status)
{
        struct error err = ERROR_INIT;
        bool has_result = !holder->arguments->entrypoint;

        if (WIFSTOPPED(status)) {
                int result = enter_state_ready(holder, holder->worker, has_result, &err);

                (void)kill(holder->worker, SIGKILL);
                (void)await_worker(holder);
                if (result < 0)
                        fail(holder, err.message, false);
                else if (holder->arguments->entrypoint_log && !has_result)
                        tell_log(holder, "");
                return;
        }
        holder->worker = 0;
        fail(holder,
             has_result ? "container start failed"
                        : "container start failed: if the image has an unusual entrypoint, try "
                          "using --no-container-entrypoint",
             true);
}

static void reap(struct holder *holder)
{
        struct signalfd_siginfo info;
        int status;
        pid_t pid;

        (void)!read(holder->signal_fd, &info, sizeof(info));
        while ((pid = waitpid(-1, &status, WNOHANG | WUNTRACED)) > 0) {
                if (pid != holder->worker)
                        continue;
                if (holder->work == STEP_WORK_MAKE)
                        worker_has_made(holder, status);
                else if (holder->work == STEP_WORK_START)
                        worker_has_started(holder, status);
        }
}

/* ---- the end ---- */

static void tell_end(int socket, enum step_kind kind, struct holder *holder)
{
        for (size_t i = 0; i < holder->lines.count; i++)
                (void)send_line(socket, kind, holder->lines.items[i]);
        strlist_release(&holder->lines);
}

static void save(struct holder *holder, int answers)
{
        const struct step_arguments *arguments = holder->arguments;
        struct error err = ERROR_INIT;

        if (begin_work(holder, STEP_WORK_SAVE, &err) == 0 && await_worker(holder) == 0) {
                tell(holder, "exported container %s to %s", arguments->name, arguments->save);
                tell_end(answers, STEP_INFO, holder);
                return;
        }
        tell(holder, "failed to export container %s to %s", arguments->name, arguments->save);
        tell_log(holder, "    ");
        tell_end(answers, STEP_ERROR, holder);
}

/* Whether a process is an image's server: it ends with the last mount of its image. */
static bool is_server(pid_t pid)
{
        auto_strbuf struct strbuf comm = STRBUF_INIT;
        struct error ignored = ERROR_INIT;
        char path[32];

        (void)snprintf(path, sizeof(path), "/proc/%d/comm", pid);
        (void)io_read_file(-1, path, PATH_MAX, &comm, &ignored);
        return strcmp(strbuf_text(&comm), RUNTIME_SERVER_NAME "\n") == 0;
}

/* Kill the children that are there now. Returns how many. */
static unsigned int kill_children(void)
{
        auto_strbuf struct strbuf list = STRBUF_INIT;
        struct error ignored = ERROR_INIT;
        unsigned int killed = 0;
        char *rest;

        (void)io_read_file(-1, "/proc/thread-self/children", LOG_LIMIT, &list, &ignored);
        rest = list.data;
        for (char *word; (word = strsep(&rest, " \n")) != NULL;) {
                pid_t pid = (pid_t)strtol(word, NULL, 10);

                if (pid <= 0 || is_server(pid))
                        continue;
                (void)kill(pid, SIGKILL);
                killed++;
        }
        while (waitpid(-1, NULL, WNOHANG) > 0)
                ;
        return killed;
}

/*
 * What an entrypoint has left behind became ours (a subreaper's), and Slurm does not know
 * of it. Killed processes leave theirs in turn.
 */
static void end_children(void)
{
        const struct timespec pause = { .tv_nsec = 1000000 };

        for (int i = 0; i < END_TRIES && kill_children() > 0; i++)
                (void)nanosleep(&pause, NULL);
}

static void end(struct holder *holder, int answers)
{
        struct error ignored = ERROR_INIT;

        if (holder->worker) {
                /* An import removes what it has; a start that has stopped cannot hear SIGTERM. */
                (void)kill(holder->worker, holder->work == STEP_WORK_MAKE ? SIGTERM : SIGKILL);
                (void)await_worker(holder);
        }
        end_children();
        strlist_release(&holder->lines);
        runtime_entrance_release(&holder->entrance);
        if (holder->arguments->save && holder->state == STATE_READY &&
            holder->entered >= holder->arguments->tasks)
                save(holder, answers);
        if (holder->made && begin_work(holder, STEP_WORK_REMOVE, &ignored) == 0)
                (void)await_worker(holder);
}

/* Take a message. Returns 1 to go on; 0 at the end, with a socket for answers or -1. */
static int listen_to_plugin(struct holder *holder, int *ret_answers, struct error *err)
{
        auto_step_message struct step_message message = STEP_MESSAGE_INIT;

        *ret_answers = -1;
        if (step_receive(holder->control_fd, &message, err) <= 0)
                return 0;
        if (message.kind == STEP_TASK && add_task(holder, &message, err) < 0)
                fail(holder, err->message, false);
        if (message.kind != STEP_END)
                return 1;
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
        bool early = arguments->image && !step_image_is_file(arguments);

        if (prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) < 0)
                return error_errno(err, "prctl");
        holder.signal_fd = watch_signals(err);
        if (holder.signal_fd < 0)
                return -1;
        /* An import needs no task; a relative path is one of the first task's directory. */
        if (early && begin(&holder, err) < 0)
                fail(&holder, err->message, false);
        for (;;) {
                struct pollfd fds[] = {
                        { .fd = holder.control_fd, .events = POLLIN },
                        { .fd = holder.signal_fd, .events = POLLIN },
                };

                if (poll(fds, ARRAY_SIZE(fds), -1) < 0 && errno != EINTR)
                        return error_errno(err, "poll");
                if (fds[1].revents)
                        reap(&holder);
                if (fds[0].revents && listen_to_plugin(&holder, &answers, err) == 0)
                        break;
                advance(&holder);
        }
        end(&holder, answers);
        return 0;
}
