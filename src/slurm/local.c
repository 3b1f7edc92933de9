#include "slurm/contexts.h"
#include "slurm/options.h"
#include "slurm/settings.h"

int local_init(spank_t spank, int argc, char **argv)
{
        struct settings settings;

        if (settings_parse(&settings, argc, argv) < 0)
                return -1;
        return options_register(spank);
}

int local_post_opt(spank_t spank)
{
        return options_complete(spank);
}
