/* "oci pause" and "oci resume" */
#include "cli/oci.h"
#include "cli/verb.h"
#include "oci/oci.h"
#include "util/cleanup.h"

static int set_paused(const struct command_context *context, const char *id, bool paused,
                      struct error *err)
{
        auto_free char *root = oci_root(context->config, err);

        return root ? oci_pause(root, id, paused, err) : -1;
}

static int pause_container(const struct command_context *context, char **words, struct error *err)
{
        return set_paused(context, words[0], true, err);
}

static int resume(const struct command_context *context, char **words, struct error *err)
{
        return set_paused(context, words[0], false, err);
}

const struct verb verb_oci_pause = {
        .name = "oci pause",
        .words = "ID",
        .summary = "Stop all processes of a container where they are.",
        .options = oci_no_options,
        .least = 1,
        .most = 1,
        .run = pause_container,
};

const struct verb verb_oci_resume = {
        .name = "oci resume",
        .words = "ID",
        .summary = "Let the processes of a paused container go on.",
        .options = oci_no_options,
        .least = 1,
        .most = 1,
        .run = resume,
};
