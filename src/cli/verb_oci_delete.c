#include "cli/oci.h"
#include "cli/verb.h"
#include "oci/oci.h"
#include "util/cleanup.h"

static struct {
        bool force;
} values;

static const struct option options[] = {
        { 'f', "force", NULL, "Kill what runs; a container that is not there is no error",
          OPTION_FLAG, &values.force },
        HELP_OPTION,
        END_OPTION,
};

static int run(const struct command_context *context, char **words, struct error *err)
{
        auto_free char *root = oci_root(context->config, err);

        return root ? oci_delete(root, words[0], values.force, context->report, err) : -1;
}

const struct verb verb_oci_delete = {
        .name = "oci delete",
        .words = "ID",
        .summary = "Forget a container that has ended.",
        .options = options,
        .least = 1,
        .most = 1,
        .run = run,
};
