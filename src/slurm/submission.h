/*
 * What is wrong in an option is told where the job is submitted, by srun, sbatch or salloc: in
 * one line, before there is a job. Nodes take what has passed, and have errors of their own.
 *
 * The checks return 0, also on a node, or -1 after the mistake has been logged.
 */
#pragma once

#include "slurm/settings.h"

/* To be called before Slurm reads the options. */
void submission_begin(const struct settings *settings);

/* The value of --container-image, which is not empty. */
int submission_check_image(const char *value);

/* One mount, as "enroot start --mount" takes it. */
int submission_check_mount(const char *word);
