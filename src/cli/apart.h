/*
 * Work with threads before a start, in a child: a start must have none, and carries the
 * memory of its process along in the image's server.
 */
#pragma once

#include <stdbool.h>

#include "commands/commands.h"

typedef int (*apart_step)(const struct command_context *context, const void *arguments,
                          struct error *err);

/*
 * Run a step that Ctrl-C ends and that cleans up after itself; with progress, it is shown.
 * Returns 0; the exit status of a step that failed, which has said why; or -1 with *err.
 */
int apart_run(const struct command_context *context, apart_step step, const void *arguments,
              bool progress, struct error *err);
