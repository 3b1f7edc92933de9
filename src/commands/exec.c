/*
 * exec: another command in a container that runs, named by a process or by what was
 * started. A number is always a process.
 */
#include "commands/commands.h"

#include <errno.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>

#include "commands/container.h"
#include "runtime/runtime.h"
#include "util/path.h"

/* The number if the word is one that a process may have, or 0. */
static pid_t parse_pid(const char *word)
{
        unsigned long number;

        if (!*word || strspn(word, "0123456789") != strlen(word))
                return 0;
        errno = 0;
        number = strtoul(word, NULL, 10);
        return errno == 0 && number <= INT_MAX ? (pid_t)number : 0;
}

/* Whether the process is of the container, or of the image file, that the target names. */
static bool is_of(const struct runtime_process *process, const char *target, const char *path)
{
        if (process->container)
                return strcmp(process->container, target) == 0;
        return process->image && path && strcmp(process->image, path) == 0;
}

/* Several starts: the newest is meant, and the user is told. */
static int choose(const struct runtime_processes *all, const char *target,
                  struct runtime_join *join, struct report *report, struct error *err)
{
        auto_free char *path = realpath(target, NULL);
        auto_strbuf struct strbuf others = STRBUF_INIT;
        const struct runtime_process *newest = NULL;

        for (size_t i = 0; i < all->count; i++) {
                const struct runtime_process *process = &all->items[i];

                if (!is_of(process, target, path))
                        continue;
                if (newest)
                        (void)strbuf_printf(&others, " %d", newest->pid);
                newest = process;
        }
        if (others.failed)
                return error_no_memory(err);
        if (!newest)
                return 0;
        if (others.length > 0)
                report_info(report,
                            "%s was started several times: using the newest, process %d "
                            "(the others are%s)",
                            target, newest->pid, others.data);
        join->pid = newest->pid;
        join->start = newest->start;
        return 1;
}

static int not_running(const struct command_context *context, const char *target, struct error *err)
{
        auto_free char *path = path_join(context->config->data_path, target);
        struct stat st;

        if (!path)
                return error_no_memory(err);
        if (!strchr(target, '/') && stat(path, &st) == 0 && S_ISDIR(st.st_mode))
                return error_set(err, ESRCH,
                                 "container %s is not running (\"enroot start\" executes a "
                                 "command in a container by itself)",
                                 target);
        return error_set(err, ESRCH,
                         "nothing of the name %s is running (\"enroot list --fancy\" shows what "
                         "is)",
                         target);
}

int command_exec(const struct command_context *context, const struct exec_arguments *arguments,
                 int *ret_status, struct error *err)
{
        auto_runtime_processes struct runtime_processes all = { .items = NULL };
        struct runtime_join join = {
                .pid = parse_pid(arguments->target),
                .root = arguments->root,
                .env = arguments->env,
                .command = arguments->command,
        };
        int found;

        *ret_status = 1 << 8;
        if (join.pid == 0) {
                if (runtime_processes_read(context->config->data_path, &all, err) < 0)
                        return -1;
                found = choose(&all, arguments->target, &join, context->report, err);
                if (found <= 0)
                        return found < 0 ? -1 : not_running(context, arguments->target, err);
        }
        return runtime_join(&join, context->config, context->report, ret_status, err);
}
