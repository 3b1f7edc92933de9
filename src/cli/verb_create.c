#include "cli/verb.h"

static struct {
        const char *name;
        bool force, lazy, subids;
} values;

static const struct option options[] = {
        { 'n', "name", "NAME", "Name of the container (defaults to \"IMAGE\")", OPTION_TEXT,
          &values.name },
        { 'f', "force", NULL, "Replace an existing container", OPTION_FLAG, &values.force },
        { 0, "lazy", NULL, "Refer to the image, which has to stay, instead of extracting it",
          OPTION_FLAG, &values.lazy },
        { 0, "subids", NULL, "Keep the image's owners, as the user's subordinate ids", OPTION_FLAG,
          &values.subids },
        HELP_OPTION,
        END_OPTION,
};

static void configure(struct config *config)
{
        config->force_override |= values.force;
        config->subids |= values.subids;
}

static int run(const struct command_context *context, char **words, struct error *err)
{
        struct create_arguments arguments = {
                .image = words[0],
                .name = values.name,
                .lazy = values.lazy,
        };

        return command_create(context, &arguments, err);
}

const struct verb verb_create = {
        .name = "create",
        .words = "IMAGE",
        .summary = "Create a container from an image file.",
        .options = options,
        .least = 1,
        .most = 1,
        .cancellable = true,
        .with_owners = true,
        .configure = configure,
        .run = run,
};
