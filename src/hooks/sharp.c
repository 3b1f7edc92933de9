/*
 * 50-sharp (ENROOT_SHARP): reductions in the InfiniBand switches, for a Slurm job that
 * asked for them ("--network=sharp") and a container that sees the adapters.
 */
#include <string.h>

#include "env/env.h"
#include "hooks/builtin.h"

int hook_sharp(struct hook_context *context, struct hook_plan *plan, struct error *err)
{
        static const struct {
                const char *name, *value;
        } settings[] = {
                { "SHARP_COLL_LOCK_ON_COMM_INIT", "1" },
                { "SHARP_COLL_NUM_COLL_GROUP_RESOURCE_ALLOC_THRESHOLD", "0" },
                { "NCCL_COLLNET_ENABLE", "1" },
        };
        static const char *const node_counts[] = { "SLURM_STEP_NUM_NODES",
                                                   "OMPI_MCA_orte_num_nodes" };
        const struct strlist *host = &context->config->environment;
        const char *devices = hook_setting(context, "MELLANOX_VISIBLE_DEVICES");
        const char *network = env_get(host, "SLURM_NETWORK");

        (void)plan;
        if (!context->config->sharp || !devices || strcmp(devices, "void") == 0 ||
            strcmp(devices, "none") == 0 || !network || strcmp(network, "sharp") != 0)
                return 0;
        for (size_t i = 0; i < ARRAY_SIZE(settings); i++)
                if (hook_set_default(context, settings[i].name, settings[i].value, err) < 0)
                        return -1;
        for (size_t i = 0; i < ARRAY_SIZE(node_counts); i++) {
                const char *count = env_get(host, node_counts[i]);

                if (count && *count &&
                    hook_set_default(context, "NCCL_SHARP_GROUP_SIZE_THRESH", count, err) < 0)
                        return -1;
        }
        return 0;
}
