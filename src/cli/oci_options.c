#include "cli/oci_options.h"

#include "cli/oci.h"
#include "cli/verb.h"
#include "env/env.h"

static struct {
        const char *bundle, *config, *pid_file, *console_socket, *preserve_fds;
        bool no_pivot, no_new_keyring, ignored;
} values;

const struct option oci_create_options[] = {
        { 'b', "bundle", "DIR", "Directory of config.json (default: the current one)", OPTION_TEXT,
          &values.bundle },
        { 'f', "config", "FILE", "Take this file instead of config.json", OPTION_TEXT,
          &values.config },
        { 0, "pid-file", "FILE", "Write the id of the container's process to a file", OPTION_TEXT,
          &values.pid_file },
        { 0, "console-socket", "SOCKET", "Send the terminal's descriptor to a socket", OPTION_TEXT,
          &values.console_socket },
        { 0, "preserve-fds", "N", "Keep so many descriptors from 3 on open", OPTION_TEXT,
          &values.preserve_fds },
        { 0, "no-pivot", NULL, "Move the root into place, as a root in an initramfs needs it",
          OPTION_FLAG, &values.no_pivot },
        { 0, "no-new-keyring", NULL, "Keep the session keyring of the caller", OPTION_FLAG,
          &values.no_new_keyring },
        { 0, "no-subreaper", NULL, "Accepted for runc's sake", OPTION_FLAG, &values.ignored },
        END_OPTION,
};

int oci_create_arguments(const struct command_context *context, const struct option *table,
                         const char *root, char **words, struct oci_create *ret,
                         struct error *err)
{
        const struct strlist *environment = &context->config->environment;

        if (oci_parse_late_options(table, words + 1, err) < 0)
                return -1;
        *ret = (struct oci_create){
                .root = root,
                .id = words[0],
                .bundle = values.bundle,
                .config = values.config,
                .pid_file = values.pid_file,
                .console_socket = values.console_socket,
                .path = env_get(environment, "PATH"),
                .subids = context->config->subids,
                .no_cgroup = oci_without_cgroups(),
                .no_pivot = values.no_pivot,
                .keep_keyring = values.no_new_keyring,
        };
        /* sd_listen_fds(3): sockets that a service manager has opened come first. */
        if (oci_parse_count("LISTEN_FDS", env_get(environment, "LISTEN_FDS"), &ret->listen_fds,
                            err) < 0 ||
            oci_parse_count("--preserve-fds", values.preserve_fds, &ret->preserve_fds, err) < 0)
                return -1;
        ret->preserve_fds += ret->listen_fds;
        return 0;
}
