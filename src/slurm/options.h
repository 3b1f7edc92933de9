/*
 * What a user asks for: the --container-* options of srun, sbatch and salloc, and the
 * PYXIS_CONTAINER_* variables for those that are not given. Slurm calls the options'
 * functions without a context, so there is one set of values a process.
 */
#pragma once

#include <slurm/spank.h>
#include <stdbool.h>

#include "util/strlist.h"

enum choice {
        CHOICE_NONE = -1,
        CHOICE_NO,
        CHOICE_YES,
};

struct options {
        char *image, *directory, *save;
        char *name, *rule;      /* of --container-name=NAME[:RULE] */
        struct strlist mounts;  /* as "enroot start --mount" takes them */
        struct strlist env;     /* names */
        enum choice mount_home, remap_root, entrypoint, entrypoint_log, writable;
        bool unshare_net, unshare_ipc, unshare_uts;
};

/* Tell Slurm of the options. Returns 0, or -1 after the error has been logged. */
int options_register(spank_t spank);

/*
 * Take the variables for options that were not given, and tell of options without effect.
 * Returns 0, or -1 for a value that cannot be.
 */
int options_complete(spank_t spank);

/* What is wrong with the options or variables that were taken; "": nothing. */
const char *options_problem(void);

/* Whether a container is asked for. */
bool options_enabled(void);

const struct options *options_get(void);
void options_release(void);
