#include "cli/verb.h"

static struct {
        const char *arch;
        bool json;
} values;

static const struct option options[] = {
        { 'a', "arch", "ARCH", "Architecture of the image (defaults to this machine's)",
          OPTION_TEXT, &values.arch },
        { 0, "json", NULL, "Print JSON", OPTION_FLAG, &values.json },
        HELP_OPTION,
        END_OPTION,
};

static int run(const struct command_context *context, char **words, struct error *err)
{
        struct inspect_arguments arguments = {
                .word = words[0],
                .arch = values.arch,
                .json = values.json,
        };

        return command_inspect(context, &arguments, stdout, err);
}

const struct verb verb_inspect = {
        .name = "inspect",
        .words = "URI|IMAGE|NAME",
        .summary = "Show what an image or container was made of.",
        .options = options,
        .least = 1,
        .most = 1,
        .run = run,
};
