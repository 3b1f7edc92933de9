/* Capabilities of this process (capabilities(7)). */
#pragma once

#include "util/error.h"

/*
 * Keep all capabilities over execve(2), which only root does by itself: make them
 * inheritable and ambient. Returns 0, or -1 with *err.
 */
int capabilities_keep(struct error *err);
