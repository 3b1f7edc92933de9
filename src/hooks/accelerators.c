/*
 * 97-cdi (--device, ENROOT_DEVICES), 98-amd (AMD_VISIBLE_DEVICES) and 99-mellanox
 * (MELLANOX_VISIBLE_DEVICES): devices that gpu/ finds, as mounts, links and variables;
 * and how any injection becomes a hook's plan.
 */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "env/env.h"
#include "hooks/builtin.h"

struct gpu_request hook_gpu_request(const struct hook_context *context,
                                    const struct gpu_roots *roots)
{
        return (struct gpu_request){
                .roots = roots,
                .devices = context->devices,
                .superuser = context->superuser,
                .run_hooks = context->config->cdi_hooks,
                .host = &context->config->environment,
                .container = context->environment,
                .view = context->view,
        };
}

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

/* Whether a node has a name that the host's /dev, where no user can make any, does not have. */
static bool needs_private_dev(const struct hook_context *context, const struct mount_plan *mounts)
{
        for (size_t i = 0; i < mounts->count && !context->private_dev; i++)
                if (strncmp(mounts->entries[i].target, "/dev/", 5) == 0 &&
                    access(mounts->entries[i].target, F_OK) < 0 && errno == ENOENT)
                        return true;
        return false;
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
        if (needs_private_dev(context, &injection->mounts) &&
            hook_private_dev(context, 0, plan, err) < 0)
                return -1;
        if (mount_plan_take(&plan->now, &injection->mounts) < 0 ||
            apply_environment(context, &injection->environment) < 0)
                return error_no_memory(err);
        plan->device_programs = TAKE_PTR(injection->programs);
        plan->device_program_count = TAKE(injection->program_count, 0);
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

int hook_cdi(struct hook_context *context, struct hook_plan *plan, struct error *err)
{
        auto_gpu_roots struct gpu_roots roots = { .driver = NULL };
        auto_gpu_injection struct gpu_injection injection = GPU_INJECTION_INIT;
        const struct gpu_request request = hook_gpu_request(context, &roots);
        bool native;

        if (!gpu_cdi_wanted(&request))
                return 0;
        if (gpu_roots_init(&roots, request.host) < 0)
                return error_no_memory(err);
        if (gpu_cdi_inject(&request, &injection, &native, err) < 0)
                return -1;
        context->nvidia_is_there = !native;
        return hook_inject(context, plan, &injection, "97-cdi", err);
}

int hook_amd(struct hook_context *context, struct hook_plan *plan, struct error *err)
{
        auto_gpu_roots struct gpu_roots roots = { .driver = NULL };
        auto_gpu_injection struct gpu_injection injection = GPU_INJECTION_INIT;
        const struct gpu_request request = hook_gpu_request(context, &roots);

        if (!gpu_amd_wanted(&request))
                return 0;
        if (gpu_roots_init(&roots, request.host) < 0)
                return error_no_memory(err);
        if (gpu_amd_inject(&request, &injection, err) < 0)
                return -1;
        return hook_inject(context, plan, &injection, "98-amd", err);
}

int hook_mellanox(struct hook_context *context, struct hook_plan *plan, struct error *err)
{
        auto_gpu_roots struct gpu_roots roots = { .driver = NULL };
        auto_gpu_injection struct gpu_injection injection = GPU_INJECTION_INIT;
        const struct gpu_request request = hook_gpu_request(context, &roots);

        if (!gpu_infiniband_wanted(&request))
                return 0;
        if (gpu_roots_init(&roots, request.host) < 0)
                return error_no_memory(err);
        if (gpu_infiniband_inject(&request, &injection, err) < 0)
                return -1;
        return hook_inject(context, plan, &injection, "99-mellanox", err);
}
