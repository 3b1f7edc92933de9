/* What each of Slurm's contexts has to do; one file each. All return as SPANK functions do. */
#pragma once

#include <slurm/spank.h>

/* srun (local), and sbatch and salloc (allocator): take the options and check them. */
int local_init(spank_t spank, int argc, char **argv);
int local_post_opt(spank_t spank);
int allocator_init(spank_t spank, int argc, char **argv);
int allocator_post_opt(spank_t spank);

/* slurmd: the directory for what lives as long as the node is up. */
int slurmd_init(int argc, char **argv);

/* slurmstepd, in the order of the calls. */
int remote_init(spank_t spank, int argc, char **argv);
int remote_post_opt(spank_t spank);
int remote_user_init(spank_t spank);
int remote_task_init(spank_t spank);
int remote_task_exit(spank_t spank);
int remote_exit(spank_t spank);

/* The epilog: remove what the job has left. */
int job_script_epilog(spank_t spank, int argc, char **argv);
