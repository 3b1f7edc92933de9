#include "cli/verb.h"

static struct {
        const char *arch;
} values;

static const struct option options[] = {
        { 'a', "arch", "ARCH", "Architecture of the image (defaults to this machine's)",
          OPTION_TEXT, &values.arch },
        HELP_OPTION,
        END_OPTION,
};

static int run(const struct command_context *context, char **words, struct error *err)
{
        return command_digest(context, words[0], values.arch, stdout, err);
}

const struct verb verb_digest = {
        .name = "digest",
        .words = "URI|IMAGE|NAME",
        .summary = "Print the digest of an image's manifest.",
        .options = options,
        .least = 1,
        .most = 1,
        .run = run,
};
