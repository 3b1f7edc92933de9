/* What enroot-step, the process that holds a step's container on a node, is called with. */
#pragma once

#include <limits.h>
#include <slurm/spank.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "slurm/settings.h"
#include "step/step.h"
#include "util/error.h"
#include "util/strlist.h"

/* What slurmstepd knows of its step. */
struct step_facts {
        uid_t uid;
        gid_t gid;
        uint32_t job, step;
        uint32_t node, nodes; /* of the step: which this is, and how many */
        uint32_t local_tasks, total_tasks;
        char secret[STEP_SECRET_SIZE]; /* of srun; "": there is none */
        char runtime_dir[PATH_MAX + 16];
};

/* Whether the nodes of the step speak to each other. */
bool step_has_peers(const struct settings *settings, const struct step_facts *facts);

/* The arguments after the program's name, from the job's options. Returns 0, or -1 with *err. */
int holder_arguments(spank_t spank, const struct settings *settings,
                     const struct step_facts *facts, struct strlist *ret, struct error *err);

/* The job's variables, less some, and what the options say. Returns 0, or -1 with *err. */
int holder_environment(spank_t spank, const struct settings *settings,
                       const struct step_facts *facts, struct strlist *ret, struct error *err);
