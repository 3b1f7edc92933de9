#include "commands/commands.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "commands/container.h"
#include "commands/place.h"
#include "runtime/runtime.h"
#include "util/strbuf.h"

static int check_exists(const char *data_path, int data_fd, const char *name, struct error *err)
{
        auto_free char *lazy = place_lazy_target(data_fd, name);
        struct stat st;

        if (container_check_name(name, err) < 0)
                return -1;
        if (fstatat(data_fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0 || !(S_ISDIR(st.st_mode) || lazy))
                return place_missing(name, data_path, err);
        return 0;
}

/* A program that runs in a tree would go on, with less and less of it. */
static int check_unused(const struct runtime_processes *processes, const char *name,
                        struct error *err)
{
        auto_strbuf struct strbuf pids = STRBUF_INIT;
        size_t count;
        const struct runtime_process *found = runtime_processes_of(processes, name, &count);

        for (size_t i = 0; i < count; i++)
                (void)strbuf_printf(&pids, " %d", found[i].pid);
        if (pids.failed)
                return error_no_memory(err);
        if (pids.length > 0)
                return error_set(err, EBUSY,
                                 "container %s is in use by process%s; end it first, or remove "
                                 "with --force",
                                 name, pids.data);
        return 0;
}

static bool is_confirmed(const char *data_path, const char *name, command_confirm confirm)
{
        auto_strbuf struct strbuf question = STRBUF_INIT;

        (void)strbuf_printf(&question, "Do you really want to delete %s/%s?", data_path, name);
        return !question.failed && confirm(question.data);
}

int command_remove(const struct command_context *context, char *const *names,
                   command_confirm confirm, struct error *err)
{
        const struct config *config = context->config;
        auto_runtime_processes struct runtime_processes processes = { .items = NULL };
        auto_close int data_fd = container_open_data_path(config->data_path, err);

        if (data_fd < 0)
                return -1;
        if (!config->force_override &&
            runtime_processes_read(config->data_path, &processes, err) < 0)
                return -1;
        for (char *const *name = names; *name; name++)
                if (check_exists(config->data_path, data_fd, *name, err) < 0 ||
                    check_unused(&processes, *name, err) < 0)
                        return -1;
        for (char *const *name = names; *name; name++)
                if ((config->force_override || is_confirmed(config->data_path, *name, confirm)) &&
                    place_remove(config, data_fd, *name, err) < 0)
                        return -1;
        return 0;
}
