#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "commands/container.h"
#include "commands/place.h"
#include "commands/step_holder.h"
#include "util/io.h"

#define STATE_LIMIT (16u << 20) /* bytes of an environment and a path */

/* ---- work ---- */

static struct step_job job_of(const struct holder *holder)
{
        return (struct step_job){
                .arguments = holder->arguments,
                .environment = holder->environment,
                .target = holder->target,
                .log_fd = holder->log_fd,
                .result_fd = holder->result_fd,
                .tell_fd = -1,
                .digest = holder->digest,
                .has_image = holder->has_image,
                .shared = holder->transfers,
                .report = holder->report,
        };
}

static int new_memory(int *fd, const char *name, struct error *err)
{
        if (*fd >= 0)
                (void)close(TAKE_FD(*fd));
        *fd = memfd_create(name, MFD_CLOEXEC);
        return *fd < 0 ? error_errno(err, "memfd_create") : 0;
}

int holder_begin_work(struct holder *holder, enum step_work work, struct error *err)
{
        auto_close int tell_fd = -1;
        struct step_job job;
        int sockets[2];
        pid_t worker;

        if (new_memory(&holder->log_fd, "enroot-log", err) < 0 ||
            new_memory(&holder->result_fd, "enroot-result", err) < 0)
                return -1;
        job = job_of(holder);
        if (work == STEP_WORK_START)
                job.environment = holder->task_environment.items;
        if (work == STEP_WORK_MAKE) {
                if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sockets) < 0)
                        return error_errno(err, "socketpair");
                holder->tell_fd = sockets[0];
                job.tell_fd = tell_fd = sockets[1];
        }
        worker = step_work_begin(work, &job, err);
        if (worker < 0)
                return -1;
        holder->work = work;
        holder->worker = worker;
        return 0;
}

/* Wait for a worker that has been told to end, or that has no reason not to. */
int holder_await_worker(struct holder *holder)
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
        const struct runtime_process *found;
        size_t count;

        if (runtime_processes_read(config->data_path, &processes, err) < 0)
                return -1;
        found = runtime_processes_of(&processes, name, &count);
        *ret = found ? found[count - 1].pid : 0;
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
int holder_begin(struct holder *holder, struct error *err)
{
        const struct step_arguments *arguments = holder->arguments;
        int exists = arguments->temporary ? 0 : choose_named(holder, err);

        if (exists < 0)
                return -1;
        holder->state = STATE_MADE;
        if (exists > 0)
                return holder->transfers ? holder_begin_transfer(holder, RELAY_ABSENT, err) : 0;
        if (step_image_is_file(arguments) && !step_needs_container(arguments))
                return 0;
        holder->state = STATE_MAKING;
        if (holder->transfers && arguments->node > 0)
                return holder_begin_transfer(holder, RELAY_RECEIVE, err);
        if (holder->transfers && holder_begin_transfer(holder, RELAY_FIRST, err) < 0)
                return -1;
        return holder_begin_make(holder, err);
}

int holder_begin_make(struct holder *holder, struct error *err)
{
        const struct step_arguments *arguments = holder->arguments;

        if (!step_image_is_file(arguments) && !holder->received && arguments->announce)
                holder_tell(holder, "importing docker image: %s", arguments->image);
        if (holder_begin_work(holder, STEP_WORK_MAKE, err) < 0)
                return -1;
        holder->made = arguments->temporary && step_needs_container(arguments);
        holder->imported = step_has_importer(arguments);
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
int holder_enter(struct holder *holder, pid_t pid, bool has_result, struct error *err)
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

int holder_begin_start(struct holder *holder, struct error *err)
{
        const struct step_arguments *arguments = holder->arguments;

        if (holder->running) {
                if (arguments->mounts->count > 0)
                        holder_tell(holder, "ignoring --container-mounts when attaching to a "
                                            "running container");
                return holder_enter(holder, holder->running, false, err);
        }
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
        if (holder_begin_work(holder, STEP_WORK_START, err) < 0)
                return -1;
        holder->state = STATE_STARTING;
        return 0;
}
