#include "hooks/hooks.h"

#include <errno.h>
#include <string.h>

#include "hooks/builtin.h"
#include "util/root_file.h"

static const struct {
        const char *name;
        int (*run)(struct hook_context *context, struct error *err);
} hooks[] = {
        { "10-aptfix", hook_aptfix },       { "10-cgroups", hook_cgroups },
        { "10-devices", hook_devices },     { "10-home", hook_home },
        { "10-localtime", hook_localtime }, { "10-shadow", hook_shadow },
};

int hooks_run_builtin(struct hook_context *context, struct error *err)
{
        for (size_t i = 0; i < ARRAY_SIZE(hooks); i++)
                if (hooks[i].run(context, err) < 0)
                        return error_prefix(err, "hook %s", hooks[i].name);
        return 0;
}

bool hooks_is_builtin(const char *name)
{
        for (size_t i = 0; i < ARRAY_SIZE(hooks); i++) {
                size_t length = strlen(hooks[i].name);

                if (strncmp(name, hooks[i].name, length) == 0 && strcmp(name + length, ".sh") == 0)
                        return true;
        }
        return false;
}

int hook_write_file(struct hook_context *context, const char *path, const char *text, size_t length,
                    struct error *err)
{
        auto_strbuf struct strbuf old = STRBUF_INIT;

        if (root_file_read(context->root.fd, path, ACCOUNT_FILE_LIMIT, &old, err) == 0 &&
            old.length == length && memcmp(strbuf_text(&old), text, length) == 0)
                return 0;
        return root_file_replace(context->root.fd, path, text, length, 0644, err);
}

int hook_tolerate_read_only(struct hook_context *context, struct error *err)
{
        if (err->code != EROFS && err->code != EACCES && err->code != EPERM)
                return -1;
        report_warn(context->report, "%s (the container's root cannot be written; going on)",
                    err->message);
        return 0;
}
