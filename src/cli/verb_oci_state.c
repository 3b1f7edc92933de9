#include "cli/oci.h"
#include "cli/verb.h"
#include "util/cleanup.h"

static int run(const struct command_context *context, char **words, struct error *err)
{
        auto_free char *root = oci_root(context->config, err);

        return root ? command_oci_state(root, words[0], stdout, err) : -1;
}

const struct verb verb_oci_state = {
        .name = "oci state",
        .words = "ID",
        .summary = "Show the state of a container as JSON.",
        .options = oci_no_options,
        .least = 1,
        .most = 1,
        .run = run,
};
