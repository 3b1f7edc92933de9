/* What steps leave on a node when they cannot end (step_reap.c). Private to commands/. */
#pragma once

#include <sys/types.h>

#include "commands/commands.h"

/* Remove a container, if there is one. Returns 0, or -1 with *err. */
int step_remove_container(const struct config *config, const char *name, struct error *err);

/*
 * Before a container of the job is made or used: remove what an earlier run of the same
 * job, which was requeued, has left here. Returns 0, or -1 with *err.
 */
int step_claim_job(const struct config *config, const struct step_arguments *arguments,
                   struct error *err);

/*
 * Where this may be the job's first step since the node or slurmd has started, have a child
 * remove what jobs have left that are gone. Returns it, or 0 for none.
 */
pid_t step_reap_begin(const struct step_arguments *arguments, char *const *environment);
