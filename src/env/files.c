#include "env/env.h"

#include "util/dropin.h"

struct merge {
        struct strlist *env;
        const struct strlist *substitutes;
};

static int merge_file(void *context, const char *path, const char *text, size_t length,
                      struct error *err)
{
        struct merge *merge = context;

        if (env_add_text(merge->env, text, length, merge->substitutes, err) < 0)
                return error_prefix(err, "%s", path);
        return 0;
}

int env_add_dir(struct strlist *env, const char *dir, const struct strlist *substitutes,
                struct error *err)
{
        struct merge merge = { .env = env, .substitutes = substitutes };

        return dropin_for_each(dir, ".env", ENV_FILE_LIMIT, merge_file, &merge, err);
}
