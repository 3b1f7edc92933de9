#include "cli/start_options.h"

int start_run(const struct command_context *context, const char *target, char **command,
              struct error *err)
{
        struct start_arguments arguments = start_arguments(command);
        int status = 0, result;

        arguments.target = target;
        result = command_start(context, &arguments, &status, err);
        return start_end(result, status);
}

static int run(const struct command_context *context, char **words, struct error *err)
{
        return start_run(context, words[0], words + 1, err);
}

const struct verb verb_start = {
        .name = "start",
        .words = "NAME|IMAGE [COMMAND] [ARG...]",
        .summary = "Start a container, or an image file directly (changes then stay in memory).",
        .options = start_options,
        .least = 1,
        .most = -1,
        .enters = true,
        .configuration = start_configuration,
        .configure = start_configure,
        .run = run,
};
