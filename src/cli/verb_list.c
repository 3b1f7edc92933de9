#include "cli/verb.h"

static const struct option options[] = { HELP_OPTION, END_OPTION };

static int run(const struct command_context *context, char **words, struct error *err)
{
        (void)words;
        return command_list(context, stdout, err);
}

const struct verb verb_list = {
        .name = "list",
        .words = "",
        .summary = "List the containers.",
        .options = options,
        .run = run,
};
