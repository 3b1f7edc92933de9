/* What starts have in common once their root is known. Private to commands/. */
#pragma once

#include "commands/commands.h"
#include "runtime/runtime.h"

/*
 * Start what start->rootfs is, or print the plan of it, as the arguments say; their target
 * is not looked at. The members of *start that the arguments have are filled in. Returns
 * as runtime_start does, and after a dry run.
 */
int start_rootfs(const struct command_context *context, const struct start_arguments *arguments,
                 struct runtime_start *start, int *ret_status, struct error *err);
