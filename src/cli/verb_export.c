#include "cli/verb.h"

static struct {
        const char *output;
        bool force;
} values;

static const struct option options[] = {
        { 'o', "output", "FILE", "Name of the image file (defaults to \"NAME.sqsh\")", OPTION_TEXT,
          &values.output },
        { 'f', "force", NULL, "Replace an existing image file", OPTION_FLAG, &values.force },
        HELP_OPTION,
        END_OPTION,
};

static void configure(struct config *config)
{
        config->force_override |= values.force;
}

static int run(const struct command_context *context, char **words, struct error *err)
{
        struct export_arguments arguments = { .name = words[0], .output = values.output };

        return command_export(context, &arguments, err);
}

const struct verb verb_export = {
        .name = "export",
        .words = "NAME",
        .summary = "Create an image file from a container.",
        .options = options,
        .least = 1,
        .most = 1,
        .cancellable = true,
        .configure = configure,
        .run = run,
};
