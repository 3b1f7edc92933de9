/* The names that Slurm looks for. */
#include "slurm/contexts.h"
#include "slurm/options.h"

#define EXPORT __attribute__((visibility("default")))

/* The name is in Slurm's messages and in scripts' options; users know it as Pyxis. */
EXPORT extern const char plugin_name[], plugin_type[];
EXPORT extern const unsigned int plugin_version, spank_plugin_version;
SPANK_PLUGIN(pyxis, 1)

EXPORT spank_f slurm_spank_init, slurm_spank_init_post_opt, slurm_spank_user_init,
        slurm_spank_task_init, slurm_spank_task_exit, slurm_spank_job_epilog, slurm_spank_exit;

int slurm_spank_init(spank_t spank, int argc, char **argv)
{
        switch (spank_context()) {
        case S_CTX_LOCAL:
                return local_init(spank, argc, argv);
        case S_CTX_ALLOCATOR:
                return allocator_init(spank, argc, argv);
        case S_CTX_SLURMD:
                return slurmd_init(argc, argv);
        case S_CTX_REMOTE:
                return remote_init(spank, argc, argv);
        default:
                return 0;
        }
}

int slurm_spank_init_post_opt(spank_t spank, int argc, char **argv)
{
        (void)argc, (void)argv;
        switch (spank_context()) {
        case S_CTX_LOCAL:
                return local_post_opt(spank);
        case S_CTX_ALLOCATOR:
                return allocator_post_opt(spank);
        case S_CTX_REMOTE:
                return remote_post_opt(spank);
        default:
                return 0;
        }
}

int slurm_spank_user_init(spank_t spank, int argc, char **argv)
{
        (void)argc, (void)argv;
        return remote_user_init(spank);
}

int slurm_spank_task_init(spank_t spank, int argc, char **argv)
{
        (void)argc, (void)argv;
        return remote_task_init(spank);
}

int slurm_spank_task_exit(spank_t spank, int argc, char **argv)
{
        (void)argc, (void)argv;
        return remote_task_exit(spank);
}

int slurm_spank_job_epilog(spank_t spank, int argc, char **argv)
{
        return job_script_epilog(spank, argc, argv);
}

int slurm_spank_exit(spank_t spank, int argc, char **argv)
{
        int result = 0;

        (void)argc, (void)argv;
        if (spank_context() == S_CTX_REMOTE)
                result = remote_exit(spank);
        options_release();
        return result;
}
