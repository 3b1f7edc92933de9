/*
 * 98-nvidia (NVIDIA_VISIBLE_DEVICES): the GPUs and driver files that gpu/ finds, as
 * mounts, links and variables. No program is run and no cgroup written.
 */
#include "hooks/builtin.h"

int hook_nvidia(struct hook_context *context, struct hook_plan *plan, struct error *err)
{
        auto_gpu_roots struct gpu_roots roots = { .driver = NULL };
        auto_gpu_injection struct gpu_injection injection = GPU_INJECTION_INIT;
        const struct gpu_request request = hook_gpu_request(context, &roots);

        if (context->nvidia_is_there || !gpu_nvidia_wanted(&request))
                return 0;
        if (gpu_roots_init(&roots, request.host) < 0)
                return error_no_memory(err);
        if (gpu_nvidia_inject(&request, &injection, err) < 0)
                return -1;
        return hook_inject(context, plan, &injection, "98-nvidia", err);
}
