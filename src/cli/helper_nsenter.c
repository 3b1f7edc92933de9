#include "cli/helper.h"

#include <errno.h>
#include <limits.h>
#include <sched.h>
#include <stdbool.h>
#include <stdlib.h>
#include <unistd.h>

#include "cli/ending.h"
#include "cli/verb.h"

static struct {
        const char *target, *environment_file, *environment_fd, *directory;
        bool user, mount, pid, net, ipc, uts, root;
} values;

static const struct option options[] = {
        { 0, "target", "PID", "Enter the namespaces of a process instead of new ones", OPTION_TEXT,
          &values.target },
        { 0, "user", NULL, "User namespace", OPTION_FLAG, &values.user },
        { 0, "mount", NULL, "Mount namespace", OPTION_FLAG, &values.mount },
        { 0, "pid", NULL, "Namespace of process ids", OPTION_FLAG, &values.pid },
        { 0, "net", NULL, "Network namespace", OPTION_FLAG, &values.net },
        { 0, "ipc", NULL, "IPC namespace", OPTION_FLAG, &values.ipc },
        { 0, "uts", NULL, "UTS namespace", OPTION_FLAG, &values.uts },
        { 0, "remap-root", NULL, "Be root in the new user namespace", OPTION_FLAG, &values.root },
        { 0, "envfile", "FILE", "Take the environment from this file", OPTION_TEXT,
          &values.environment_file },
        { 0, "envfd", "FD", "Take the environment from this descriptor", OPTION_TEXT,
          &values.environment_fd },
        { 0, "workdir", "DIR", "Change to this directory", OPTION_TEXT, &values.directory },
        HELP_OPTION,
        END_OPTION,
};

/* A number of at least least, or a default where there is none. 0, or -1 with *err. */
static int parse_number(const char *name, const char *text, int least, int by_default, int *ret,
                        struct error *err)
{
        char *end;
        long number = text ? strtol(text, &end, 10) : by_default;

        if (text && (*end || end == text || number < least || number > INT_MAX))
                return error_set(err, EINVAL, "--%s %s: not a number that it can be", name, text);
        *ret = (int)number;
        return 0;
}

static int run(char **words, char **environment, struct report *report, struct error *err)
{
        struct nsenter_arguments arguments = {
                .namespaces = (values.user ? CLONE_NEWUSER : 0) | (values.mount ? CLONE_NEWNS : 0) |
                              (values.pid ? CLONE_NEWPID : 0) | (values.net ? CLONE_NEWNET : 0) |
                              (values.ipc ? CLONE_NEWIPC : 0) | (values.uts ? CLONE_NEWUTS : 0),
                .root = values.root,
                .environment_file = values.environment_file,
                .directory = values.directory,
                .command = words,
        };
        int status, result;

        if (parse_number("target", values.target, 1, 0, &arguments.target, err) < 0 ||
            parse_number("envfd", values.environment_fd, STDERR_FILENO + 1, -1,
                         &arguments.environment_fd, err) < 0)
                return -1;
        result = command_nsenter(&arguments, environment, report, &status, err);
        return result > 0 ? ending_of_child(status) : result;
}

const struct helper helper_nsenter = {
        .name = "enroot-nsenter",
        .words = "COMMAND [ARG...]",
        .summary = "Run a command in new namespaces, or in those of a process.",
        .options = options,
        .enters = true,
        .least = 1,
        .run = run,
};
