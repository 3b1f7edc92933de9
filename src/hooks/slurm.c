/*
 * 50-slurm-pmi (ENROOT_SLURM_PMI): what the processes of an MPI program need to find
 * each other. 50-slurm-pytorch (ENROOT_SLURM_PYTORCH): the same for torch.distributed.
 * Both do nothing outside of a Slurm step.
 */
#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>

#include "env/env.h"
#include "hooks/builtin.h"

/* Value of a variable of the host, NULL when unset or empty. */
static const char *host_value(const struct hook_context *context, const char *name)
{
        const char *value = env_get(&context->config->environment, name);

        return value && *value ? value : NULL;
}

/* ---- 50-slurm-pmi ---- */

/* Copy the host's variables with a prefix. Returns whether there are any, or -1 with *err. */
static int copy_variables(struct hook_context *context, const char *prefix, struct error *err)
{
        const struct strlist *host = &context->config->environment;
        int found = 0;

        for (size_t i = 0; i < host->count; i++) {
                const char *item = host->items[i], *equals = strchr(item, '=');
                auto_free char *name = NULL;

                if (!equals || strncmp(item, prefix, strlen(prefix)) != 0)
                        continue;
                name = strndup(item, (size_t)(equals - item));
                if (!name || env_set(context->environment, name, equals + 1) < 0)
                        return error_no_memory(err);
                found = 1;
        }
        return found;
}

/* Slurm tells which modules its server uses under names of its own. */
static int translate_modules(struct hook_context *context, struct error *err)
{
        static const struct {
                const char *slurm, *pmix;
        } names[] = {
                { "PMIX_PTL_MODULE", "PMIX_MCA_ptl" },
                { "PMIX_SECURITY_MODE", "PMIX_MCA_psec" },
                { "PMIX_GDS_MODULE", "PMIX_MCA_gds" },
        };

        for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
                const char *value = host_value(context, names[i].slurm);

                if (value && !host_value(context, names[i].pmix) &&
                    env_set(context->environment, names[i].pmix, value) < 0)
                        return error_no_memory(err);
        }
        return 0;
}

/* The socket of the PMIx server. */
static int mount_server_directory(const struct hook_context *context, struct mount_plan *plan,
                                  struct error *err)
{
        const char *directory = host_value(context, "PMIX_SERVER_TMPDIR");
        struct mount_entry entry = {
                .source = (char *)directory,
                .target = (char *)directory,
                .bind = true,
                .attr_set = MS_NOSUID | MS_NOEXEC | MS_NODEV,
                .attr_clear = MS_RDONLY,
                .propagation = MS_PRIVATE,
                .create = MOUNT_CREATE_DIR,
                .nofail = true,
                .origin = (char *)"50-slurm-pmi",
        };

        if (!directory)
                return 0;
        return mount_plan_append(plan, &entry) < 0 ? error_no_memory(err) : 0;
}

int hook_slurm_pmi(struct hook_context *context, struct hook_plan *plan, struct error *err)
{
        const char *type = host_value(context, "SLURM_MPI_TYPE");
        int found;

        if (!context->config->slurm_pmi || !host_value(context, "SLURM_JOB_ID") ||
            !host_value(context, "SLURM_STEP_ID"))
                return 0;
        if (copy_variables(context, "SLURM_", err) < 0 || copy_variables(context, "PMI_", err) < 0)
                return -1;
        if (type && strncmp(type, "pmix", 4) != 0)
                return 0;
        found = copy_variables(context, "PMIX_", err);
        if (found <= 0)
                return found;
        if (translate_modules(context, err) < 0)
                return -1;
        return mount_server_directory(context, &plan->later, err);
}

/* ---- 50-slurm-pytorch ---- */

char *slurm_first_host(const char *list)
{
        auto_strbuf struct strbuf host = STRBUF_INIT;

        while (*list && *list != ',') {
                if (*list != '[') {
                        strbuf_append_char(&host, *list++);
                        continue;
                }
                for (list++; *list && !strchr(",-]", *list); list++)
                        strbuf_append_char(&host, *list);
                list += strcspn(list, "]");
                list += *list == ']';
        }
        return strbuf_take(&host);
}

/* A number of the host's environment, 0 or greater; fallback when there is none. */
static long host_number(const struct hook_context *context, const char *name, long fallback)
{
        const char *value = host_value(context, name);

        return value && isdigit((unsigned char)*value) ? strtol(value, NULL, 10) : fallback;
}

static int set_master(struct hook_context *context, struct error *err)
{
        const char *nodes = host_value(context, "SLURM_STEP_NODELIST");
        long job = host_number(context, "SLURM_JOB_ID", -1);
        auto_free char *host = nodes ? slurm_first_host(nodes) : NULL;
        char port[16];

        if (nodes && !host)
                return error_no_memory(err);
        if (host && *host && hook_set_default(context, "MASTER_ADDR", host, err) < 0)
                return -1;
        if (job < 0)
                return 0;
        /* Above the range of ports that Linux gives out itself, and another for each job. */
        (void)snprintf(port, sizeof(port), "%ld", job % 4536 + 61000);
        return hook_set_default(context, "MASTER_PORT", port, err);
}

int hook_slurm_pytorch(struct hook_context *context, struct hook_plan *plan, struct error *err)
{
        static const struct {
                const char *torch, *slurm;
        } names[] = {
                { "WORLD_SIZE", "SLURM_NTASKS" },
                { "RANK", "SLURM_PROCID" },
                { "LOCAL_RANK", "SLURM_LOCALID" },
        };

        (void)plan;
        if (!context->config->slurm_pytorch || !env_get(context->environment, "PYTORCH_VERSION"))
                return 0;
        if (set_master(context, err) < 0)
                return -1;
        for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
                const char *value = host_value(context, names[i].slurm);

                if (value && hook_set_default(context, names[i].torch, value, err) < 0)
                        return -1;
        }
        /* As torchrun does where several processes share a node. */
        if (host_number(context, "SLURM_STEP_NUM_TASKS", 1) >
            host_number(context, "SLURM_STEP_NUM_NODES", 1))
                return hook_set_default(context, "OMP_NUM_THREADS", "1", err);
        return 0;
}
