#include "cli/verb.h"

static struct {
        const char *output, *description, *target;
        bool all, checksum, force;
} values;

static const struct option options[] = {
        { 'a', "all", NULL, "Include the user's configuration and the settings, too", OPTION_FLAG,
          &values.all },
        { 'c', "checksum", NULL, "Have the bundle check itself before it runs", OPTION_FLAG,
          &values.checksum },
        { 'd', "desc", "TEXT", "Description of the bundle", OPTION_TEXT, &values.description },
        { 'o', "output", "FILE", "Name of the bundle file (defaults to \"IMAGE.run\")", OPTION_TEXT,
          &values.output },
        { 't', "target", "DIR", "Directory of the bundle's --keep (defaults to \"$PWD/BUNDLE\")",
          OPTION_TEXT, &values.target },
        { 'f', "force", NULL, "Replace an existing bundle file", OPTION_FLAG, &values.force },
        HELP_OPTION,
        END_OPTION,
};

static void configure(struct config *config)
{
        config->bundle_all |= values.all;
        config->bundle_checksum |= values.checksum;
        config->force_override |= values.force;
}

static int run(const struct command_context *context, char **words, struct error *err)
{
        const struct bundle_arguments arguments = {
                .image = words[0],
                .output = values.output,
                .description = values.description,
                .target = values.target,
        };

        return command_bundle(context, &arguments, err);
}

const struct verb verb_bundle = {
        .name = "bundle",
        .words = "IMAGE",
        .summary = "Create a file that runs an image by itself, without enroot.",
        .options = options,
        .least = 1,
        .most = 1,
        .cancellable = true,
        .configure = configure,
        .run = run,
};
