#include <stdlib.h>

#include "cli/apart.h"
#include "cli/start_options.h"
#include "util/cleanup.h"

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

static int import(const struct command_context *context, const void *arguments, struct error *err)
{
        return command_run_import(context, arguments, err);
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
                result = apart_run(context, import, &arguments, true, err);
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
        .enters = true,
        .configuration = start_configuration,
        .configure = start_configure,
        .run = run,
};
