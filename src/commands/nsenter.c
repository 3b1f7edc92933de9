#include "commands/commands.h"

#include "commands/helper_environment.h"
#include "runtime/runtime.h"

int command_nsenter(const struct nsenter_arguments *arguments, char *const *environment,
                    struct report *report, int *ret_status, struct error *err)
{
        const struct config config = { .remap_root = arguments->root };
        auto_strlist struct strlist variables = STRLIST_INIT;
        const struct runtime_nsenter nsenter = {
                .target = arguments->target,
                .namespaces = arguments->namespaces,
                .directory = arguments->directory,
                .environment = &variables,
                .command = arguments->command,
        };

        if (helper_environment(arguments->environment_fd, arguments->environment_file, environment,
                               &variables, err) < 0)
                return -1;
        return runtime_nsenter(&nsenter, &config, report, ret_status, err);
}
