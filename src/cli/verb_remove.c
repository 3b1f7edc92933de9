#include "cli/verb.h"

static struct {
        bool force;
} values;

static const struct option options[] = {
        { 'f', "force", NULL, "Do not ask, and remove what is in use, too", OPTION_FLAG,
          &values.force },
        HELP_OPTION,
        END_OPTION,
};

static void configure(struct config *config)
{
        config->force_override |= values.force;
}

static bool ask(const char *question)
{
        char answer[16];

        fprintf(stderr, "%s [y/N] ", question);
        (void)fflush(stderr);
        return fgets(answer, sizeof(answer), stdin) && (answer[0] == 'y' || answer[0] == 'Y');
}

static int run(const struct command_context *context, char **words, struct error *err)
{
        return command_remove(context, words, ask, err);
}

const struct verb verb_remove = {
        .name = "remove",
        .words = "NAME...",
        .summary = "Delete containers.",
        .options = options,
        .least = 1,
        .most = -1,
        .configure = configure,
        .run = run,
};
