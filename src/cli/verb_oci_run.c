#include "cli/ending.h"
#include "cli/oci.h"
#include "cli/oci_options.h"
#include "cli/verb.h"
#include "util/cleanup.h"

static struct {
        bool detach, keep;
} values;

static const struct option options[] = {
        { 0, "", NULL, NULL, OPTION_TABLE, (struct option *)oci_create_options },
        { 'd', "detach", NULL, "Do not wait", OPTION_FLAG, &values.detach },
        { 0, "keep", NULL, "Leave the state of a container that has ended", OPTION_FLAG,
          &values.keep },
        HELP_OPTION,
        END_OPTION,
};

static int run(const struct command_context *context, char **words, struct error *err)
{
        auto_free char *root = oci_root(context->config, err);
        struct oci_create create;
        int status;

        if (!root || oci_create_arguments(context, options, root, words, &create, err) < 0)
                return -1;
        create.foreground = !values.detach;
        create.keep = values.keep;
        if (oci_run(&create, context->report, &status, err) < 0)
                return -1;
        return ending_of_child(status);
}

const struct verb verb_oci_run = {
        .name = "oci run",
        .words = "ID",
        .summary = "Create and start a container, and wait for its end.",
        .options = options,
        .least = 1,
        .most = -1,
        .enters = true,
        .run = run,
};
