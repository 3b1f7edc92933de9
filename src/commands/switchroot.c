#include "commands/commands.h"

#include "commands/helper_environment.h"
#include "runtime/runtime.h"

int command_switchroot(const struct switchroot_arguments *arguments, char *const *environment,
                       struct report *report, struct error *err)
{
        const struct config config = { .login_shell = arguments->login };
        const struct runtime_start start = {
                .rootfs = arguments->rootfs,
                .rc = arguments->rc,
                .no_rc = arguments->no_rc,
                .directory = arguments->directory,
                .command = arguments->command,
        };
        auto_strlist struct strlist variables = STRLIST_INIT;

        if (helper_environment(-1, arguments->environment_file, environment, &variables, err) < 0)
                return -1;
        return runtime_switch_root(&start, &variables, &config, report, err);
}
