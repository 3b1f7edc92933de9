#include <errno.h>

#include "cli/ending.h"
#include "cli/oci.h"
#include "cli/verb.h"
#include "oci/oci.h"
#include "util/cleanup.h"

static struct {
        const char *process, *cwd, *user, *pid_file, *console_socket, *preserve_fds;
        const char *cgroup, *apparmor, *label;
        struct strlist env, groups, capabilities;
        bool terminal, detach, no_new_privileges, ignore_paused;
} values;

static const struct option options[] = {
        { 'p', "process", "FILE", "The process as JSON instead of a command", OPTION_TEXT,
          &values.process },
        { 'e', "env", "KEY=VALUE", "Set an environment variable", OPTION_LIST, &values.env },
        { 0, "cwd", "DIR", "Working directory", OPTION_TEXT, &values.cwd },
        { 'u', "user", "UID[:GID]", "Be this user", OPTION_TEXT, &values.user },
        { 'g', "additional-gids", "GID", "Be a member of this group, too", OPTION_LIST,
          &values.groups },
        { 'c', "cap", "CAPABILITY", "Have this capability, too", OPTION_LIST,
          &values.capabilities },
        { 't', "tty", NULL, "Have a terminal", OPTION_FLAG, &values.terminal },
        { 'd', "detach", NULL, "Do not wait", OPTION_FLAG, &values.detach },
        { 0, "no-new-privs", NULL, "No program gives more rights", OPTION_FLAG,
          &values.no_new_privileges },
        { 0, "pid-file", "FILE", "Write the id of the process to a file", OPTION_TEXT,
          &values.pid_file },
        { 0, "console-socket", "SOCKET", "Send the terminal's descriptor to a socket", OPTION_TEXT,
          &values.console_socket },
        { 0, "preserve-fds", "N", "Keep so many descriptors from 3 on open", OPTION_TEXT,
          &values.preserve_fds },
        { 0, "process-label", "LABEL", "Have this label of SELinux", OPTION_TEXT, &values.label },
        { 0, "apparmor", "PROFILE", "Have this profile of AppArmor", OPTION_TEXT,
          &values.apparmor },
        { 0, "cgroup", "[CONTROLLER:]PATH", "Be in a cgroup below the container's", OPTION_TEXT,
          &values.cgroup },
        { 0, "ignore-paused", NULL, "Join a container that is paused, too", OPTION_FLAG,
          &values.ignore_paused },
        HELP_OPTION,
        END_OPTION,
};

static int run(const struct command_context *context, char **words, struct error *err)
{
        auto_free char *root = oci_root(context->config, err);
        struct oci_exec exec = {
                .root = root,
                .id = words[0],
                .process_file = values.process,
                .cwd = values.cwd,
                .user = values.user,
                .env = &values.env,
                .groups = &values.groups,
                .capabilities = &values.capabilities,
                .command = words + 1,
                .pid_file = values.pid_file,
                .console_socket = values.console_socket,
                .cgroup = values.cgroup,
                .apparmor_profile = values.apparmor,
                .selinux_label = values.label,
                .ignore_paused = values.ignore_paused,
                .terminal = values.terminal,
                .detach = values.detach,
                .no_new_privileges = values.no_new_privileges,
        };
        int status, result;

        if (!root)
                return -1;
        if (!values.process && !words[1])
                return error_set(err, EINVAL, "oci exec: missing command");
        result = oci_parse_count("--preserve-fds", values.preserve_fds, &exec.preserve_fds, err);
        if (result == 0)
                result = oci_exec(&exec, context->report, &status, err);
        strlist_release(&values.env);
        strlist_release(&values.groups);
        strlist_release(&values.capabilities);
        return result < 0 ? -1 : ending_of_child(status);
}

const struct verb verb_oci_exec = {
        .name = "oci exec",
        .words = "ID [COMMAND [ARG...]]",
        .summary = "Execute another command in a container.",
        .options = options,
        .least = 1,
        .most = -1,
        .enters = true,
        .run = run,
};
