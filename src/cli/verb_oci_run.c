#include "cli/ending.h"
#include "cli/oci.h"
#include "cli/verb.h"
#include "env/env.h"
#include "oci/oci.h"
#include "util/cleanup.h"

static struct {
        const char *bundle, *pid_file, *console_socket, *preserve_fds;
        bool ignored, detach, keep;
} values;

static const struct option options[] = {
        { 'b', "bundle", "DIR", "Directory of config.json (default: the current one)", OPTION_TEXT,
          &values.bundle },
        { 0, "pid-file", "FILE", "Write the id of the container's process to a file", OPTION_TEXT,
          &values.pid_file },
        { 0, "console-socket", "SOCKET", "Send the terminal's descriptor to a socket", OPTION_TEXT,
          &values.console_socket },
        { 0, "preserve-fds", "N", "Keep so many descriptors from 3 on open", OPTION_TEXT,
          &values.preserve_fds },
        { 0, "no-pivot", NULL, "Accepted for runc's sake", OPTION_FLAG, &values.ignored },
        { 0, "no-new-keyring", NULL, "Accepted for runc's sake", OPTION_FLAG, &values.ignored },
        { 'd', "detach", NULL, "Do not wait", OPTION_FLAG, &values.detach },
        { 0, "keep", NULL, "Leave the state of a container that has ended", OPTION_FLAG,
          &values.keep },
        HELP_OPTION,
        END_OPTION,
};

static int run(const struct command_context *context, char **words, struct error *err)
{
        auto_free char *root = oci_root(context->config, err);
        struct oci_create create = {
                .root = root,
                .id = words[0],
                .path = env_get(&context->config->environment, "PATH"),
                .subids = context->config->subids,
        };
        int status;

        if (!root || oci_parse_late_options(options, words + 1, err) < 0 ||
            oci_parse_count("--preserve-fds", values.preserve_fds, &create.preserve_fds, err) < 0)
                return -1;
        create.bundle = values.bundle;
        create.pid_file = values.pid_file;
        create.console_socket = values.console_socket;
        create.foreground = !values.detach;
        create.keep = values.keep;
        if (oci_run(&create, context->report, &status, err) < 0)
                return -1;
        return ending_of_child(status);
}

const struct verb verb_oci_run = {
        .name = "oci run",
        .words = "ID",
        .summary = "Create and start a container, and wait for its end.",
        .options = options,
        .least = 1,
        .most = -1,
        .run = run,
};
