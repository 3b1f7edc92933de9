#include "cli/oci.h"
#include "cli/verb.h"
#include "util/cleanup.h"

static struct {
        const char *format;
        bool quiet;
} values;

static const struct option options[] = {
        { 'f', "format", "FORMAT", "table or json", OPTION_TEXT, &values.format },
        { 'q', "quiet", NULL, "Show nothing but their names", OPTION_FLAG, &values.quiet },
        HELP_OPTION,
        END_OPTION,
};

static int run(const struct command_context *context, char **words, struct error *err)
{
        auto_free char *root = oci_root(context->config, err);
        bool json;

        (void)words;
        if (!root || oci_parse_format(values.format, &json, err) < 0)
                return -1;
        return command_oci_list(root,
                                values.quiet ? LIST_NAMES
                                : json       ? LIST_JSON
                                             : LIST_FANCY,
                                stdout, err);
}

const struct verb verb_oci_list = {
        .name = "oci list",
        .words = "",
        .summary = "List the containers.",
        .options = options,
        .least = 0,
        .most = 0,
        .run = run,
};
