#include "cli/verb.h"

static struct {
        const char *output, *format, *compress;
        bool force, subids;
} values;

static const struct option options[] = {
        { 'o', "output", "FILE",
          "Name of the image file (defaults to \"NAME.sqsh\"), or "
          "oci:DIR[:TAG], oci-archive:FILE[:TAG]",
          OPTION_TEXT, &values.output },
        { 0, "format", "FORMAT", "squashfs, oci or oci-archive", OPTION_TEXT, &values.format },
        { 0, "compress", "FORMAT", "Compression of an OCI layer: gzip, zstd or none", OPTION_TEXT,
          &values.compress },
        { 'f', "force", NULL, "Replace an existing image", OPTION_FLAG, &values.force },
        { 0, "subids", NULL, "Keep owners, which are the user's subordinate ids", OPTION_FLAG,
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
        struct export_arguments arguments = {
                .name = words[0],
                .output = values.output,
                .format = values.format,
                .compress = values.compress,
        };

        return command_export(context, &arguments, err);
}

const struct verb verb_export = {
        .name = "export",
        .words = "NAME",
        .summary = "Create an image from a container.",
        .options = options,
        .least = 1,
        .most = 1,
        .cancellable = true,
        .with_owners = true,
        .configure = configure,
        .run = run,
};
