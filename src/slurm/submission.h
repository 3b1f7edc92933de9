/*
 * What is wrong in an option is told where the job is submitted, by srun, sbatch or salloc: in
 * one line, before there is a job. Nodes take what has passed, and have errors of their own.
 *
 * Both return 0, also on a node, or -1 after the mistake has been logged.
 */
#pragma once

/* The value of --container-image, which is not empty. */
int submission_check_image(const char *value);

/* One mount, as "enroot start --mount" takes it. */
int submission_check_mount(const char *word);
