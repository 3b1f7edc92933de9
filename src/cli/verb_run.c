#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cli/ending.h"
#include "cli/messages.h"
#include "cli/start_options.h"
#include "util/cancel.h"

static struct {
        const char *arch, *pull;
} values;

static const struct option options[] = {
        { 'a', "arch", "ARCH", "Architecture of the image (defaults to this machine's)",
          OPTION_TEXT, &values.arch },
        { 0, "pull", "WHEN", "Ask the registry: missing (the default), always or never",
          OPTION_TEXT, &values.pull },
        { 0, "", NULL, NULL, OPTION_TABLE, (struct option *)start_options },
        END_OPTION,
};

static int import(const struct command_context *context, const struct run_arguments *arguments,
                  pid_t parent)
{
        struct error err = ERROR_INIT;
        int result;

        /* Without the parent, which may have ended already, there is nobody to start the image. */
        if (prctl(PR_SET_PDEATHSIG, SIGTERM) < 0 || getppid() != parent)
                return EXIT_FAILURE;
        cancel_install();
        messages_progress_start(context->report);
        result = command_run_import(context, arguments, &err);
        messages_progress_stop();
        if (result == 0)
                return EXIT_SUCCESS;
        message_error(err.message);
        return cancel_signal() ? ending_of_signal(cancel_signal()) : EXIT_FAILURE;
}

/*
 * Import in a child: a start must have no threads, and carries the memory of this process
 * along in the image's server. Returns 0, the exit status of a failed import, which has
 * said why, or -1 with *err.
 */
static int import_apart(const struct command_context *context,
                        const struct run_arguments *arguments, struct error *err)
{
        const pid_t parent = getpid();
        pid_t child = fork();
        int status = 0;

        if (child < 0)
                return error_errno(err, "cannot start a process");
        if (child == 0)
                _exit(import(context, arguments, parent));
        while (waitpid(child, &status, 0) < 0)
                if (errno != EINTR)
                        return error_errno(err, "cannot wait for the import");
        return ending_of_child(status);
}

static int run(const struct command_context *context, char **words, struct error *err)
{
        struct run_arguments arguments = { .image = words[0], .arch = values.arch };
        auto_free char *path = NULL;
        int found, result;

        if (command_run_policy(values.pull, &arguments.pull, err) < 0)
                return -1;
        found = command_run_find(context, &arguments, false, &path, err);
        if (found == 0) {
                result = import_apart(context, &arguments, err);
                if (result != 0)
                        return result;
                found = command_run_find(context, &arguments, true, &path, err);
        }
        return found < 0 ? -1 : start_run(context, path, words + 1, err);
}

const struct verb verb_run = {
        .name = "run",
        .words = "URI|IMAGE [COMMAND] [ARG...]",
        .summary = "Start an image, and import it before where the cache lacks it.",
        .options = options,
        .least = 1,
        .most = -1,
        .configuration = start_configuration,
        .configure = start_configure,
        .run = run,
};
