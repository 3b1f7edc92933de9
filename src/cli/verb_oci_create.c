#include "cli/oci.h"
#include "cli/oci_options.h"
#include "cli/verb.h"
#include "util/cleanup.h"

static const struct option options[] = {
        { 0, "", NULL, NULL, OPTION_TABLE, (struct option *)oci_create_options },
        HELP_OPTION,
        END_OPTION,
};

static int run(const struct command_context *context, char **words, struct error *err)
{
        auto_free char *root = oci_root(context->config, err);
        struct oci_create create;

        if (!root || oci_create_arguments(context, options, root, words, &create, err) < 0)
                return -1;
        return oci_create(&create, context->report, err);
}

const struct verb verb_oci_create = {
        .name = "oci create",
        .words = "ID",
        .summary = "Make a container from a bundle; its process waits for \"oci start\".",
        .options = options,
        .least = 1,
        .most = -1,
        .enters = true,
        .run = run,
};
