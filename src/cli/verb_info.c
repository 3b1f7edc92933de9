#include "cli/verb.h"

static struct {
        bool json;
} values;

static const struct option options[] = {
        { 0, "json", NULL, "Show it as JSON", OPTION_FLAG, &values.json },
        HELP_OPTION,
        END_OPTION,
};

static int run(const struct command_context *context, char **words, struct error *err)
{
        (void)words;
        return command_info(context, values.json, stdout, err);
}

const struct verb verb_info = {
        .name = "info",
        .words = "",
        .summary = "Show the configuration and where each value comes from.",
        .options = options,
        .run = run,
};
