#include "cli/helper.h"

#include "cli/verb.h"

static struct {
        bool no_rc, login;
        const char *rc, *environment, *directory;
} values;

static const struct option options[] = {
        { 0, "norc", NULL, "Do not run /etc/rc", OPTION_FLAG, &values.no_rc },
        { 0, "login", NULL, "Set up a login session", OPTION_FLAG, &values.login },
        { 0, "rcfile", "FILE", "Run this script instead of /etc/rc", OPTION_TEXT, &values.rc },
        { 0, "envfile", "FILE", "Take the environment from this file", OPTION_TEXT,
          &values.environment },
        { 0, "workdir", "DIR", "Change to this directory of the new root", OPTION_TEXT,
          &values.directory },
        HELP_OPTION,
        END_OPTION,
};

static int run(char **words, char **environment, struct report *report, struct error *err)
{
        const struct switchroot_arguments arguments = {
                .rootfs = words[0],
                .command = words + 1,
                .no_rc = values.no_rc,
                .login = values.login,
                .rc = values.rc,
                .environment_file = values.environment,
                .directory = values.directory,
        };

        return command_switchroot(&arguments, environment, report, err);
}

const struct helper helper_switchroot = {
        .name = "enroot-switchroot",
        .words = "ROOTFS [COMMAND] [ARG...]",
        .summary = "Make a mounted directory the root, drop privileges and run a command.",
        .options = options,
        .enters = true,
        .least = 1,
        .run = run,
};
