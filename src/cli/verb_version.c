#include "cli/verb.h"

static const struct option options[] = { HELP_OPTION, END_OPTION };

static int run(const struct command_context *context, char **words, struct error *err)
{
        (void)context;
        (void)words;
        (void)err;
        (void)puts(ENROOT_VERSION);
        return 0;
}

const struct verb verb_version = {
        .name = "version",
        .words = "",
        .summary = "Print the version.",
        .options = options,
        .run = run,
};
