/*
 * 98-nvidia (NVIDIA_VISIBLE_DEVICES): the GPUs and driver files that gpu/ finds, as
 * mounts, links and variables. No program is run and no cgroup written.
 */
#include <string.h>

#include "env/env.h"
#include "hooks/builtin.h"

/* "KEY=VALUE" defines a variable, "KEY" takes it away. */
static int apply_environment(struct hook_context *context, const struct strlist *variables)
{
        for (size_t i = 0; i < variables->count; i++) {
                const char *item = variables->items[i], *equals = strchr(item, '=');
                auto_free char *name = strndup(item, strcspn(item, "="));

                if (!name)
                        return -1;
                if ((equals ? env_set(context->environment, name, equals + 1)
                            : env_unset(context->environment, name)) < 0)
                        return -1;
        }
        return 0;
}

int hook_inject(struct hook_context *context, struct hook_plan *plan,
                struct gpu_injection *injection, const char *origin, struct error *err)
{
        for (size_t i = 0; i < injection->warnings.count; i++)
                report_warn(context->report, "%s", injection->warnings.items[i]);
        for (size_t i = 0; i < injection->mounts.count; i++) {
                char **entry_origin = &injection->mounts.entries[i].origin;

                if (!*entry_origin && !(*entry_origin = strdup(origin)))
                        return error_no_memory(err);
        }
        if (mount_plan_take(&plan->now, &injection->mounts) < 0 ||
            apply_environment(context, &injection->environment) < 0)
                return error_no_memory(err);
        for (size_t i = 0; i < injection->link_count; i++) {
                const struct gpu_link *link = &injection->links[i];

                if (change_list_add(&plan->changes, &(struct change){
                                                            .kind = CHANGE_LINK,
                                                            .path = link->path,
                                                            .text = link->target,
                                                            .length = strlen(link->target),
                                                    }) < 0)
                        return error_no_memory(err);
        }
        return 0;
}

int hook_nvidia(struct hook_context *context, struct hook_plan *plan, struct error *err)
{
        auto_gpu_roots struct gpu_roots roots = { .driver = NULL };
        auto_gpu_injection struct gpu_injection injection = GPU_INJECTION_INIT;
        const struct gpu_request request = {
                .roots = &roots,
                .host = &context->config->environment,
                .container = context->environment,
                .view = context->view,
        };

        if (!gpu_nvidia_wanted(&request))
                return 0;
        if (gpu_roots_init(&roots, request.host) < 0)
                return error_no_memory(err);
        if (gpu_nvidia_inject(&request, &injection, err) < 0)
                return -1;
        return hook_inject(context, plan, &injection, "98-nvidia", err);
}
