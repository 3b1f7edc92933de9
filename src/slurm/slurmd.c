#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "slurm/contexts.h"
#include "slurm/settings.h"

int slurmd_init(int argc, char **argv)
{
        struct settings settings;

        slurm_info("pyxis: enroot " ENROOT_VERSION);
        if (settings_parse(&settings, argc, argv) < 0)
                return -1;
        /* Root's alone: every user gets a directory of his own in it. */
        if (mkdir(settings.runtime_path, 0755) == 0) {
                if (chmod(settings.runtime_path, 0755) == 0)
                        return 0;
        } else if (errno == EEXIST) {
                return 0;
        }
        slurm_error("pyxis: couldn't make %s: %s", settings.runtime_path, strerror(errno));
        return -1;
}
