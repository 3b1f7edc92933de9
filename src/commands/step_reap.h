/* What steps leave on a node when they cannot end (step_reap.c). Private to commands/. */
#pragma once

#include <sys/types.h>

#include "commands/commands.h"

/* Remove a container, if there is one. Returns 0, or -1 with *err. */
int step_remove_container(const struct config *config, const char *name, struct error *err);

/*
 * Where this may be the job's first step since the node or slurmd has started: mark the job,
 * remove what an earlier run of it has left here if it was requeued, and have a child remove
 * what jobs have left that are gone. *ret_reaper is that child, or not above 0. Returns 0, or
 * -1 with *err.
 */
int step_reap_begin(const struct step_arguments *arguments, char *const *environment,
                    pid_t *ret_reaper, struct error *err);
