#include "cli/verb.h"

static struct {
        const char *arch, *name;
        bool force, subids;
} values;

static const struct option options[] = {
        { 'a', "arch", "ARCH", "Architecture of the image (defaults to this machine's)",
          OPTION_TEXT, &values.arch },
        { 'n', "name", "NAME", "Name of the container (defaults to \"URI\")", OPTION_TEXT,
          &values.name },
        { 'f', "force", NULL, "Replace an existing container", OPTION_FLAG, &values.force },
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
        struct load_arguments arguments = {
                .uri = words[0],
                .name = values.name,
                .arch = values.arch,
        };

        return command_load(context, &arguments, err);
}

const struct verb verb_load = {
        .name = "load",
        .words = "URI",
        .summary = "Create a container from a remote image, without an image file.",
        .details = " The schemes are those of \"enroot import\".\n",
        .options = options,
        .least = 1,
        .most = 1,
        .cancellable = true,
        .with_owners = true,
        .configure = configure,
        .run = run,
};
