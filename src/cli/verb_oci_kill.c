#include <errno.h>
#include <signal.h>

#include "cli/oci.h"
#include "cli/verb.h"
#include "oci/oci.h"
#include "util/cleanup.h"

static struct {
        bool all;
} values;

static const struct option options[] = {
        { 'a', "all", NULL, "Send it to all processes of the container", OPTION_FLAG, &values.all },
        HELP_OPTION,
        END_OPTION,
};

static int run(const struct command_context *context, char **words, struct error *err)
{
        auto_free char *root = oci_root(context->config, err);
        int sig = words[1] ? oci_signal_number(words[1]) : SIGTERM;

        if (!root)
                return -1;
        if (sig < 0)
                return error_set(err, EINVAL, "%s is no signal", words[1]);
        return oci_kill(root, words[0], sig, values.all, err);
}

const struct verb verb_oci_kill = {
        .name = "oci kill",
        .words = "ID [SIGNAL]",
        .summary = "Send a signal (SIGTERM) to the process of a container.",
        .options = options,
        .least = 1,
        .most = 2,
        .run = run,
};
