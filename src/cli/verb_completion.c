#include <errno.h>
#include <string.h>

#include "cli/completion.h"
#include "cli/verb.h"
#include "util/cleanup.h"

static const struct option options[] = { HELP_OPTION, END_OPTION };

static int run(const struct command_context *context, char **words, struct error *err)
{
        static const struct {
                const char *name;
                void (*print)(FILE *out);
        } shells[] = {
                { "bash", completion_print_bash },
                { "zsh", completion_print_zsh },
                { "fish", completion_print_fish },
        };

        (void)context;
        for (size_t i = 0; i < ARRAY_SIZE(shells); i++)
                if (strcmp(words[0], shells[i].name) == 0) {
                        shells[i].print(stdout);
                        return 0;
                }
        return error_set(err, EINVAL, "no completion for the shell %s: bash, zsh or fish",
                         words[0]);
}

const struct verb verb_completion = {
        .name = "completion",
        .words = "bash|zsh|fish",
        .summary = "Print the completion script for a shell.",
        .options = options,
        .least = 1,
        .most = 1,
        .run = run,
};
