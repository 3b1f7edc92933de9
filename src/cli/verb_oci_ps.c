#include "cli/oci.h"
#include "cli/verb.h"
#include "util/cleanup.h"

static struct {
        const char *format;
} values;

static const struct option options[] = {
        { 'f', "format", "FORMAT", "table or json", OPTION_TEXT, &values.format },
        HELP_OPTION,
        END_OPTION,
};

static int run(const struct command_context *context, char **words, struct error *err)
{
        auto_free char *root = oci_root(context->config, err);
        bool json;

        if (!root || oci_parse_format(values.format, &json, err) < 0)
                return -1;
        return command_oci_ps(root, words[0], json, words + 1, stdout, err);
}

const struct verb verb_oci_ps = {
        .name = "oci ps",
        .words = "ID [OPTION-OF-PS...]",
        .summary = "Show the processes of a container, as ps(1) does.",
        .options = options,
        .least = 1,
        .most = -1,
        .run = run,
};
