#include "cli/verb.h"

static struct {
        const char *arch, *output;
        bool ensure;
} values;

static const struct option options[] = {
        { 'a', "arch", "ARCH", "Architecture of the image (defaults to this machine's)",
          OPTION_TEXT, &values.arch },
        { 'o', "output", "FILE", "Name of the image file (defaults to \"URI.sqsh\")", OPTION_TEXT,
          &values.output },
        { 0, "ensure", NULL, "Succeed when the right image is there; replace an older one",
          OPTION_FLAG, &values.ensure },
        HELP_OPTION,
        END_OPTION,
};

static int run(const struct command_context *context, char **words, struct error *err)
{
        struct import_arguments arguments = {
                .uri = words[0],
                .output = values.output,
                .arch = values.arch,
                .ensure = values.ensure,
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
                "   docker://[USER@]REGISTRY/IMAGE[:TAG][@DIGEST]    The same as Docker writes it\n"
                "   dockerd://IMAGE[:TAG]                            From Docker on this machine\n"
                "   podman://IMAGE[:TAG]                             From Podman on this machine\n"
                "   oci:DIRECTORY[:TAG]                              An OCI image layout\n"
                "   oci-archive:FILE[:TAG]                           The same as a tar archive\n"
                "   docker-archive:FILE[:NAME]                       What \"docker save\" writes\n"
                "   tar:FILE                                         A root file system\n"
                "   https://HOST/FILE                                An image file\n",
        .options = options,
        .least = 1,
        .most = 1,
        .cancellable = true,
        .run = run,
};
