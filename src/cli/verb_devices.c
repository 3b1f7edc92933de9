#include "cli/verb.h"
#include "gpu/gpu.h"

/* What doctor ends with when there are warnings only; 1 is the status of every problem. */
#define STATUS_WARNINGS 2

static struct {
        bool json;
} values;

static const struct option list_options[] = {
        { 'j', "json", NULL, "Print JSON", OPTION_FLAG, &values.json },
        HELP_OPTION,
        END_OPTION,
};

static const struct option no_options[] = { HELP_OPTION, END_OPTION };

static int run_list(const struct command_context *context, char **words, struct error *err)
{
        (void)words;
        return command_devices_list(context, values.json, stdout, err);
}

static int run_cdi(const struct command_context *context, char **words, struct error *err)
{
        (void)words;
        return command_devices_cdi(context, stdout, err);
}

static int run_doctor(const struct command_context *context, char **words, struct error *err)
{
        int severity;

        (void)words;
        if (command_devices_doctor(context, stdout, &severity, err) < 0)
                return -1;
        return severity == GPU_PROBLEM ? 1 : severity == GPU_WARNING ? STATUS_WARNINGS : 0;
}

const struct verb verb_devices_list = {
        .name = "devices list",
        .words = "",
        .summary = "List GPUs, adapters and CDI devices that can be asked for, and how.",
        .options = list_options,
        .run = run_list,
};

const struct verb verb_devices_cdi = {
        .name = "devices cdi",
        .words = "",
        .summary = "Print a CDI file of this machine's NVIDIA GPUs and driver.",
        .options = no_options,
        .run = run_cdi,
};

const struct verb verb_devices_doctor = {
        .name = "devices doctor",
        .words = "",
        .summary = "Check everything that devices in containers need, and say what mends it.",
        .options = no_options,
        .run = run_doctor,
};
