/*
 * 50-mig-config (ENROOT_MIG_CONFIG): a container that sees whole GPUs which are
 * partitioned may configure the partitions. Whether they are is asked of nvidia-smi: the
 * driver's files in /proc do not tell, and loading its library here would open devices.
 */
#include <fcntl.h>
#include <string.h>

#include "env/env.h"
#include "hooks/builtin.h"
#include "hooks/process.h"
#include "util/io.h"

/* Largest answer of nvidia-smi, a word for each GPU, in bytes. */
#define ANSWER_LIMIT 65536u

/* Whether the devices are whole ones: "all", numbers or UUIDs, not partitions. */
static bool names_whole_gpus(const char *devices)
{
        const char *colon = strchr(devices, ':');

        if (strcmp(devices, "void") == 0 || strcmp(devices, "none") == 0)
                return false;
        /* "MIG-UUID", and "GPU:PARTITION" of older drivers. */
        return !strstr(devices, "MIG-") && (!colon || colon == devices || !colon[1]);
}

/* 1 when a GPU is partitioned, 0 when none is, or -1 with *err. */
static int ask_driver(const struct hook_context *context, const char *devices, struct error *err)
{
        char *argv[] = { (char *)"nvidia-smi",
                         (char *)"--query-gpu=mig.mode.current",
                         (char *)"--format=csv,noheader",
                         (char *)"-i",
                         (char *)devices,
                         NULL };
        auto_process struct process process = PROCESS_INIT;
        auto_strlist struct strlist environment = STRLIST_INIT;
        auto_strbuf struct strbuf answer = STRBUF_INIT;
        auto_close int read_end = -1, write_end = -1;
        int ends[2], status;

        if (strcmp(devices, "all") == 0)
                argv[3] = NULL;
        if (config_copy_environment(context->config, &environment, err) < 0)
                return -1;
        if (pipe2(ends, O_CLOEXEC) < 0)
                return error_errno(err, "pipe");
        read_end = ends[0];
        write_end = ends[1];
        if (process_start(&process, argv, environment.items, &write_end, 1, err) < 0)
                return error_append(err, " (ENROOT_MIG_CONFIG asks it)");
        (void)close(TAKE_FD(write_end));
        if (io_read_fd(read_end, "nvidia-smi", ANSWER_LIMIT, &answer, err) < 0 ||
            process_wait(&process, -1, &status, err) < 0)
                return -1;
        return strstr(strbuf_text(&answer), "Enabled") != NULL;
}

int hook_mig_config(struct hook_context *context, struct hook_plan *plan, struct error *err)
{
        const char *devices = hook_setting(context, "NVIDIA_VISIBLE_DEVICES");
        int enabled;

        (void)plan;
        if (!context->config->mig_config || !devices || !names_whole_gpus(devices))
                return 0;
        enabled = ask_driver(context, devices, err);
        if (enabled <= 0)
                return enabled;
        if (env_set(context->environment, "NVIDIA_MIG_CONFIG_DEVICES", "all") < 0)
                return error_no_memory(err);
        return 0;
}
