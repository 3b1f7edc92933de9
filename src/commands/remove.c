#include "commands/commands.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "commands/container.h"
#include "util/path.h"
#include "util/strbuf.h"

int command_remove(const struct command_context *context, const char *name,
                   command_confirm confirm, struct error *err)
{
        const char *data_path = context->config->data_path;
        auto_strbuf struct strbuf question = STRBUF_INIT;
        auto_close int data_fd = -1;
        struct stat st;

        if (container_check_name(name, err) < 0)
                return -1;
        data_fd = container_open_data_path(data_path, err);
        if (data_fd < 0)
                return -1;
        if (fstatat(data_fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0 || !S_ISDIR(st.st_mode))
                return error_set(err, ENOENT, "no such container: %s (in %s)", name, data_path);

        if (!context->config->force_override) {
                strbuf_printf(&question, "Do you really want to delete %s/%s?", data_path, name);
                if (question.failed)
                        return error_no_memory(err);
                if (!confirm(question.data))
                        return 0;
        }
        return container_remove_tree(context->config, data_fd, name, err);
}
