#include "cli/verb.h"

static struct check_arguments arguments;

static const struct option options[] = {
        { 0, "json", NULL, "Print the report as JSON", OPTION_FLAG, &arguments.json },
        { 0, "verify", NULL, "Print the table of a bundle's --verify instead", OPTION_FLAG,
          &arguments.verify },
        HELP_OPTION,
        END_OPTION,
};

static int run(const struct command_context *context, char **words, struct error *err)
{
        (void)words;
        return command_check(context, &arguments, stdout, err);
}

const struct verb verb_check = {
        .name = "check",
        .words = "",
        .summary = "Check whether this machine can run containers, and say what is in the way.",
        .options = options,
        .run = run,
};
