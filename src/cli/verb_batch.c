#include "cli/ending.h"
#include "cli/verb.h"

static struct {
        struct strlist devices;
} values;

static const struct option options[] = {
        { 0, "device", "VENDOR/CLASS=NAME",
          "Have a device that a CDI file describes (\"enroot devices list\")", OPTION_LIST,
          &values.devices },
        HELP_OPTION,
        END_OPTION,
};

static const char *configuration(char **words)
{
        return words[0];
}

static int run(const struct command_context *context, char **words, struct error *err)
{
        int status = 0, result = command_batch(context, words[0], &values.devices, words + 1,
                                               &status, err);

        strlist_release(&values.devices);
        return result > 0 ? ending_of_child(status) : result;
}

const struct verb verb_batch = {
        .name = "batch",
        .words = "CONFIG [COMMAND] [ARG...]",
        .summary = "Start the container that a start configuration names.",
        .details = "CONFIG says \"#ENROOT_ROOTFS=NAME\" (or IMAGE); the rest is as with "
                   "\"enroot start --conf\".\n",
        .options = options,
        .least = 1,
        .most = -1,
        .enters = true,
        .configuration = configuration,
        .run = run,
};
