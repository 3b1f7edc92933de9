#include "cli/ending.h"
#include "cli/messages.h"
#include "cli/verb.h"

static struct {
        bool root;
        struct strlist env;
} values;

static const struct option options[] = {
        { 'e', "env", "KEY[=VAL]", "Set an environment variable for the command", OPTION_LIST,
          &values.env },
        { 'r', "root", NULL, "Be root inside the container", OPTION_FLAG, &values.root },
        HELP_OPTION,
        END_OPTION,
};

static int run(const struct command_context *context, char **words, struct error *err)
{
        struct exec_arguments arguments = {
                .target = words[0],
                .root = values.root,
                .env = &values.env,
                .command = words + 1,
        };
        int status, result = command_exec(context, &arguments, &status, err);

        strlist_release(&values.env);
        /* As a shell ends: 127 and 126 are about the command. */
        if (result < 0)
                message_error(err->message);
        return ending_of_child(status);
}

const struct verb verb_exec = {
        .name = "exec",
        .words = "PID|NAME COMMAND [ARG...]",
        .summary = "Execute a command in a running container.",
        .options = options,
        .least = 2,
        .most = -1,
        .enters = true,
        .run = run,
};
