#include "commands/commands.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "env/env.h"
#include "util/io.h"

/* Largest start configuration, in bytes. */
#define CONF_LIMIT (1u << 20)

int command_add_directives(struct config *config, const char *path, struct error *err)
{
        auto_strbuf struct strbuf text = STRBUF_INIT;
        struct stat st;

        /* It is read twice, here and by bash. */
        if (stat(path, &st) < 0)
                return error_errno(err, "start configuration %s", path);
        if (!S_ISREG(st.st_mode))
                return error_set(err, EINVAL, "start configuration %s: not a regular file", path);
        if (io_read_file(AT_FDCWD, path, CONF_LIMIT, &text, err) < 0)
                return error_prefix(err, "start configuration");
        return config_add_directives(config, path, strbuf_text(&text), text.length, err);
}

int command_batch(const struct command_context *context, const char *conf,
                  const struct strlist *devices, char *const *command, int *ret_status,
                  struct error *err)
{
        const struct start_arguments arguments = {
                .target = env_get(&context->config->environment, "ENROOT_ROOTFS"),
                .conf = conf,
                .devices = devices,
                .command = command,
        };

        if (!arguments.target)
                return error_set(err, EINVAL,
                                 "%s names no container: it needs a line \"#ENROOT_ROOTFS=NAME\"",
                                 conf);
        return command_start(context, &arguments, ret_status, err);
}
