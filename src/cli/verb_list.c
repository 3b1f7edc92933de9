#include "cli/verb.h"

static struct {
        bool fancy, json;
} values;

static const struct option options[] = {
        { 'f', "fancy", NULL, "Show what runs in each container", OPTION_FLAG, &values.fancy },
        { 0, "json", NULL, "Show everything as JSON", OPTION_FLAG, &values.json },
        HELP_OPTION,
        END_OPTION,
};

static int run(const struct command_context *context, char **words, struct error *err)
{
        enum list_format format = values.json ? LIST_JSON : values.fancy ? LIST_FANCY : LIST_NAMES;

        (void)words;
        return command_list(context, format, stdout, err);
}

const struct verb verb_list = {
        .name = "list",
        .words = "",
        .summary = "List the containers.",
        .options = options,
        .run = run,
};
