#include "cli/oci.h"
#include "cli/verb.h"

static int run(const struct command_context *context, char **words, struct error *err)
{
        (void)context;
        (void)words;
        return command_oci_features(stdout, err);
}

const struct verb verb_oci_features = {
        .name = "oci features",
        .words = "",
        .summary = "Show what the runtime can do as JSON.",
        .options = oci_no_options,
        .least = 0,
        .most = 0,
        .run = run,
};
