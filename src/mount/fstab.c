#include "mount/mount.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <string.h>

#include "env/env.h"
#include "mount/fields.h"
#include "util/io.h"
#include "util/dropin.h"
#include "util/path.h"

#define BLANKS " \t\r"

/* Append one field, with its variables replaced and its escapes resolved. */
static int add_field(struct strlist *fields, const char *text, size_t length,
                     const struct strlist *env)
{
        char *field = env ? env_substitute(text, length, env) : strndup(text, length);

        if (!field)
                return -1;
        field_unescape(field);
        return strlist_append_owned(fields, field);
}

/* line is NUL-terminated and without its newline; a field that starts with '#' ends it. */
static int add_line(struct mount_plan *plan, const char *line, const char *origin,
                    const struct strlist *env, struct error *err)
{
        auto_strlist struct strlist fields = STRLIST_INIT;

        for (;;) {
                size_t length;

                line += strspn(line, BLANKS);
                length = strcspn(line, BLANKS);
                if (length == 0 || *line == '#')
                        break;
                if (add_field(&fields, line, length, env) < 0)
                        return error_no_memory(err);
                line += length;
        }
        return fields.count > 0 ? plan_add_fields(plan, &fields, false, origin, err) : 0;
}

int mount_plan_add_fstab(struct mount_plan *plan, const char *text, size_t length,
                         const char *origin, const struct strlist *env, struct error *err)
{
        const char *end = text + length;

        for (unsigned int number = 1; text < end; number++) {
                const char *newline = memchr(text, '\n', (size_t)(end - text));
                const char *line_end = newline ? newline : end;
                auto_free char *line = strndup(text, (size_t)(line_end - text));
                auto_free char *where = NULL;

                if (!line || asprintf(&where, "%s:%u", origin, number) < 0) {
                        where = NULL;
                        return error_no_memory(err);
                }
                if (strlen(line) != (size_t)(line_end - text))
                        return error_set(err, EINVAL, "%s: a NUL byte", where);
                if (add_line(plan, line, where, env, err) < 0)
                        return error_prefix(err, "%s", where);
                text = newline ? newline + 1 : end;
        }
        return 0;
}

struct addition {
        struct mount_plan *plan;
        const struct strlist *env;
};

static int add_file(void *context, const char *path, const char *text, size_t length,
                    struct error *err)
{
        struct addition *addition = context;

        return mount_plan_add_fstab(addition->plan, text, length, path, addition->env, err);
}

int mount_plan_add_dir(struct mount_plan *plan, const char *dir, const struct strlist *env,
                       struct error *err)
{
        struct addition addition = { .plan = plan, .env = env };

        return dropin_for_each(dir, ".fstab", MOUNT_FILE_LIMIT, add_file, &addition, err);
}

int mount_plan_add_line(struct mount_plan *plan, struct error *err, const char *fmt, ...)
{
        auto_free char *line = NULL;
        va_list args;
        int length;

        va_start(args, fmt);
        length = vasprintf(&line, fmt, args);
        va_end(args);
        if (length < 0) {
                line = NULL;
                return error_no_memory(err);
        }
        return mount_plan_add_fstab(plan, line, (size_t)length, "built-in", NULL, err);
}
