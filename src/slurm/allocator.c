#include <stdbool.h>

#include "slurm/contexts.h"
#include "slurm/options.h"
#include "slurm/settings.h"
#include "slurm/submission.h"

static bool enabled;

int allocator_init(spank_t spank, int argc, char **argv)
{
        struct settings settings;

        if (settings_parse(&settings, argc, argv) < 0)
                return -1;
        enabled = settings.sbatch_support;
        submission_begin(&settings);
        return enabled ? options_register(spank) : 0;
}

int allocator_post_opt(spank_t spank)
{
        return enabled ? options_complete(spank) : 0;
}
