#include "cli/oci.h"
#include "cli/verb.h"
#include "oci/oci.h"
#include "util/cleanup.h"

static int run(const struct command_context *context, char **words, struct error *err)
{
        auto_free char *root = oci_root(context->config, err);

        return root ? oci_start(root, words[0], context->report, err) : -1;
}

const struct verb verb_oci_start = {
        .name = "oci start",
        .words = "ID",
        .summary = "Let the process of a created container go on.",
        .options = oci_no_options,
        .least = 1,
        .most = 1,
        .run = run,
};
