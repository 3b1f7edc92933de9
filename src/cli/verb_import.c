#include "cli/verb.h"

static struct {
        const char *arch, *output;
} values;

static const struct option options[] = {
        { 'a', "arch", "ARCH", "Architecture of the image (defaults to this machine's)",
          OPTION_TEXT, &values.arch },
        { 'o', "output", "FILE", "Name of the image file (defaults to \"URI.sqsh\")", OPTION_TEXT,
          &values.output },
        HELP_OPTION,
        END_OPTION,
};

static int run(const struct command_context *context, char **words, struct error *err)
{
        struct import_arguments arguments = {
                .uri = words[0],
                .output = values.output,
                .arch = values.arch,
        };

        return command_import(context, &arguments, err);
}

const struct verb verb_import = {
        .name = "import",
        .words = "URI",
        .summary = "Import a container image as an image file.",
        .details =
                " Schemes:\n"
                "   docker://[USER@][REGISTRY#]IMAGE[:TAG][@DIGEST]  From a registry\n"
                "   docker://[USER@]REGISTRY/IMAGE[:TAG][@DIGEST]    The same as Docker writes it\n",
        .options = options,
        .least = 1,
        .most = 1,
        .cancellable = true,
        .run = run,
};
