#include "commands/step_work.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "commands/step_reap.h"
#include "env/env.h"
#include "runtime/runtime.h"
#include "source/source.h"
#include "step/step.h"
#include "util/cancel.h"
#include "util/io.h"

#define DOCKER_SCHEME "docker://"

bool step_image_is_file(const struct step_arguments *arguments)
{
        return arguments->image && (*arguments->image == '.' || *arguments->image == '/');
}

/* The image as a URI: Docker's short form is one, too. malloc'd, or NULL without memory. */
static char *uri_of(const struct step_arguments *arguments)
{
        char *uri = NULL;

        if (step_image_is_file(arguments) || source_is_uri(arguments->image))
                return strdup(arguments->image);
        return asprintf(&uri, DOCKER_SCHEME "%s", arguments->image) < 0 ? NULL : uri;
}

/* Only images of registries have a digest that the cache keeps them by. */
static bool is_cached(const char *uri)
{
        return strncmp(uri, DOCKER_SCHEME, strlen(DOCKER_SCHEME)) == 0;
}

bool step_image_is_cached(const struct step_arguments *arguments)
{
        return arguments->image && !step_image_is_file(arguments) &&
               !step_has_importer(arguments) &&
               (is_cached(arguments->image) || !source_is_uri(arguments->image));
}

bool step_needs_container(const struct step_arguments *arguments)
{
        bool has_file = step_has_importer(arguments) || step_image_is_file(arguments) ||
                        (step_image_is_cached(arguments) && !arguments->load);

        return !arguments->temporary || arguments->extract || arguments->save || !has_file;
}

/* ---- the pieces ---- */

char *step_find_image(const struct step_job *job, struct error *err)
{
        auto_config struct config config = { 0 };
        const struct command_context context = { .config = &config };
        char *path = NULL;

        if (step_image_is_file(job->arguments)) {
                path = strdup(job->arguments->image);
                if (!path)
                        error_no_memory(err);
                return path;
        }
        if (step_has_importer(job->arguments))
                return step_importer_result(job, err);
        if (config_load(&config, job->environment, err) < 0)
                return NULL;
        return command_run_path(&context, job->digest, err);
}

static int load(const struct command_context *context, const struct step_arguments *arguments,
                const char *uri, struct error *err)
{
        const struct load_arguments load_arguments = { .uri = uri, .name = arguments->name };

        if (command_enter_subids(context, err) < 0)
                return -1;
        return command_load(context, &load_arguments, err);
}

static int create(const struct command_context *context, const struct step_arguments *arguments,
                  const char *image, struct error *err)
{
        const struct create_arguments create_arguments = {
                .image = image,
                .name = arguments->name,
                /* One that only lives until it is saved refers to its image. */
                .lazy = arguments->temporary && !arguments->extract && !arguments->load,
        };

        if (command_enter_subids(context, err) < 0)
                return -1;
        return command_create(context, &create_arguments, err);
}

/* Tell the holder something about the image: which it is, or that it is there. */
static void tell_holder(const struct step_job *job, enum step_kind kind, const char *digest)
{
        struct step_message message = { .kind = kind };
        struct error ignored = ERROR_INIT;

        (void)snprintf(message.text, sizeof(message.text), "%s", digest);
        (void)step_send(job->tell_fd, &message, &ignored);
}

struct resolution {
        const struct step_job *job;
        char digest[IMAGE_DIGEST_SIZE];
};

static void take_digest(void *context, const char *digest)
{
        struct resolution *resolution = context;

        (void)snprintf(resolution->digest, sizeof(resolution->digest), "%s", digest);
        tell_holder(resolution->job, STEP_RESOLVED, digest);
}

/* The image that other nodes of the step have, where one of them has told. */
static char *pinned(const char *uri, const char *digest)
{
        char *result = NULL;

        if (!digest || !*digest || strstr(uri, "@sha256:"))
                return strdup(uri);
        return asprintf(&result, "%s@%s", uri, digest) < 0 ? NULL : result;
}

/* Import into the cache. Returns the path there, malloc'd, or NULL with *err. */
static char *import(const struct step_job *job, const struct command_context *context,
                    const char *uri, struct error *err)
{
        auto_free char *image = pinned(uri, job->digest);
        struct resolution resolution = { .job = job };
        const struct run_arguments run = {
                .image = image,
                .pull = RUN_PULL_ALWAYS,
                .resolved = take_digest,
                .resolved_context = &resolution,
        };

        if (!image) {
                error_no_memory(err);
                return NULL;
        }
        if (command_run_import(context, &run, err) < 0)
                return NULL;
        tell_holder(job, STEP_IMAGE, resolution.digest);
        return command_run_path(context, resolution.digest, err);
}

static char *import_by_site(const struct step_job *job, const char *uri, struct error *err)
{
        char *path = step_importer_get(job, uri, err);

        cancel_install();
        return path;
}

static int make(const struct step_job *job, const struct command_context *context,
                struct error *err)
{
        const struct step_arguments *arguments = job->arguments;
        auto_free char *uri = uri_of(arguments), *path = NULL;

        if (!uri)
                return error_no_memory(err);
        /* An importer is ended by the signal itself. */
        if (!step_has_importer(arguments))
                cancel_install();
        if (step_image_is_file(arguments))
                path = TAKE_PTR(uri);
        else if (step_has_importer(arguments))
                path = import_by_site(job, uri, err);
        else if (job->has_image)
                path = command_run_path(context, job->digest, err);
        else if ((arguments->load && !job->shared) || !is_cached(uri))
                return load(context, arguments, uri, err);
        else
                path = import(job, context, uri, err);
        if (!path)
                return -1;
        return step_needs_container(arguments) ? create(context, arguments, path, err) : 0;
}

/* For the holder: where and with which environment a task has to be. Then wait to be ended. */
static int hold(void *result_fd, const struct strlist *environment, const char *directory,
                struct error *err)
{
        int fd = *(int *)result_fd;

        if (io_write_full(fd, directory, strlen(directory) + 1) < 0)
                return error_errno(err, "result");
        for (size_t i = 0; i < environment->count; i++)
                if (io_write_full(fd, environment->items[i], strlen(environment->items[i]) + 1) < 0)
                        return error_errno(err, "result");
        (void)raise(SIGSTOP);
        return 0;
}

static int start(const struct step_job *job, const struct config *config, struct report *report,
                 struct error *err)
{
        static char shell[] = "sh", dash_c[] = "-c", stop[] = "kill -STOP $$";
        char *command[] = { shell, dash_c, stop, NULL };
        struct config step_config = *config;
        const struct command_context context = { .config = &step_config, .report = report };
        auto_strlist struct strlist env = STRLIST_INIT;
        int result_fd = job->result_fd, status = 0;
        const struct start_arguments arguments = {
                .target = job->target,
                .mounts = job->arguments->mounts,
                .env = &env,
                .command = job->arguments->entrypoint ? command : command + 3,
                .hold = job->arguments->entrypoint ? NULL : hold,
                .hold_context = &result_fd,
        };

        /* Tasks become processes of the container themselves, which they cannot there. */
        step_config.unshare_pid = false;
        /* srun --mpi=… says what is wanted; a program that cannot use it is not disturbed. */
        step_config.slurm_pmi = true;
        for (size_t i = 0; i < job->arguments->env->count; i++) {
                const char *name = job->arguments->env->items[i];

                if (env_get(&config->environment, name) && strlist_append(&env, name) < 0)
                        return error_no_memory(err);
        }
        return command_start(&context, &arguments, &status, err);
}

static int save(const struct step_job *job, struct config *config, struct report *report,
                struct error *err)
{
        const struct command_context context = { .config = config, .report = report };
        const struct export_arguments arguments = {
                .name = job->arguments->name,
                .output = job->arguments->save,
        };

        config->force_override = true;
        return command_enter_subids(&context, err) < 0 ? -1
                                                       : command_export(&context, &arguments, err);
}

/* ---- the child ---- */

static void print_message(struct report *report, enum report_level level, const char *text)
{
        (void)report;
        (void)dprintf(STDERR_FILENO, "[%s] %s\n", level == REPORT_WARN ? "WARN" : "INFO", text);
}

static int do_work(enum step_work work, const struct step_job *job, struct error *err)
{
        auto_config struct config config = { 0 };
        struct report *report = job->report;
        const struct command_context context = { .config = &config, .report = report };

        report->message = print_message;
        if (config_load(&config, job->environment, err) < 0)
                return -1;
        environ = (char **)job->environment;
        switch (work) {
        case STEP_WORK_MAKE:
                return make(job, &context, err);
        case STEP_WORK_START:
                return start(job, &config, report, err);
        case STEP_WORK_SAVE:
                return save(job, &config, report, err);
        case STEP_WORK_REMOVE:
                return step_remove_container(&config, job->arguments->name, err);
        case STEP_WORK_RELEASE:
                return step_importer_release(job, err);
        }
        return error_set(err, EINVAL, "unknown work");
}

int step_become_worker(int log_fd)
{
        sigset_t none;

        (void)sigemptyset(&none);
        (void)sigprocmask(SIG_SETMASK, &none, NULL);
        if (prctl(PR_SET_PDEATHSIG, SIGTERM) < 0 || dup2(log_fd, STDOUT_FILENO) < 0 ||
            dup2(log_fd, STDERR_FILENO) < 0)
                return -1;
        return 0;
}

pid_t step_work_begin(enum step_work work, const struct step_job *job, struct error *err)
{
        struct error failure = ERROR_INIT;
        pid_t child = fork();

        if (child < 0)
                return error_errno(err, "cannot start a process");
        if (child > 0)
                return child;
        if (step_become_worker(job->log_fd) < 0)
                _exit(EXIT_FAILURE);
        if (do_work(work, job, &failure) >= 0)
                _exit(EXIT_SUCCESS);
        (void)dprintf(STDERR_FILENO, "[ERROR] %s\n", failure.message);
        _exit(EXIT_FAILURE);
}
