/* What list and diagnosis share. */
#pragma once

#include "gpu/gpu.h"

/*
 * Why a device node cannot be used, in words; NULL when it can. *ret_mend is what to do
 * then. Both malloc'd. Returns 0, or -1 with *err without memory.
 */
int gpu_node_problem(const char *path, char **ret_problem, char **ret_mend, struct error *err);
