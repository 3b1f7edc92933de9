#include "hooks/hooks.h"

#include <errno.h>
#include <string.h>

#include "hooks/builtin.h"

/* Every failure means that another start has written what it wants; few want different things. */
#define PLAN_TRIES 10

static const struct {
        const char *name;
        int (*plan)(struct hook_context *context, struct hook_plan *plan, struct error *err);
} hooks[] = {
        { "10-aptfix", hook_aptfix },       { "10-cgroups", hook_cgroups },
        { "10-devices", hook_devices },     { "10-home", hook_home },
        { "10-localtime", hook_localtime }, { "10-shadow", hook_shadow },
};

static void plan_release(struct hook_plan *plan)
{
        mount_plan_release(&plan->now);
        change_list_release(&plan->changes);
        mount_plan_release(&plan->later);
}

/* Plan one hook and have it visited. */
static int visit_hook(size_t index, struct hook_context *context, hook_visit visit,
                      void *visit_context, struct error *err)
{
        auto_cleanup(plan_release) struct hook_plan plan = { .name = hooks[index].name };

        if (hooks[index].plan(context, &plan, err) < 0)
                return -1;
        return visit(visit_context, &plan, err);
}

int hooks_for_each_builtin(struct hook_context *context, hook_visit visit, void *visit_context,
                           struct error *err)
{
        for (size_t i = 0; i < ARRAY_SIZE(hooks); i++) {
                int tries = 0, result;

                do
                        result = visit_hook(i, context, visit, visit_context, err);
                while (result < 0 && err->code == EAGAIN && ++tries < PLAN_TRIES);
                if (result < 0)
                        return error_prefix(err, "hook %s", hooks[i].name);
        }
        return 0;
}

int hook_plan_apply(const struct hook_plan *plan, const struct mount_root *root,
                    struct report *report, struct error *err)
{
        if (mount_plan_apply(&plan->now, root, 0, 0, report, err) < 0)
                return -1;
        return change_list_apply(&plan->changes, root->fd, report, err);
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
