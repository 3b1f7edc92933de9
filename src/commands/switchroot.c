#include "commands/commands.h"

#include <fcntl.h>

#include "env/env.h"
#include "runtime/runtime.h"
#include "util/io.h"

static int read_environment(const char *file, char *const *process, struct strlist *ret,
                            struct error *err)
{
        auto_strbuf struct strbuf text = STRBUF_INIT;

        if (!file) {
                for (; *process; process++)
                        if (strlist_append(ret, *process) < 0)
                                return error_no_memory(err);
                return 0;
        }
        if (io_read_file(AT_FDCWD, file, ENV_FILE_LIMIT, &text, err) < 0 ||
            env_add_text(ret, strbuf_text(&text), text.length, NULL, err) < 0)
                return error_prefix(err, "--envfile");
        return 0;
}

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

        if (read_environment(arguments->environment_file, environment, &variables, err) < 0)
                return -1;
        return runtime_switch_root(&start, &variables, &config, report, err);
}
