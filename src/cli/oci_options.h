/* What "oci create" and "oci run" have in common: their options, and the container they make. */
#pragma once

#include "cli/options.h"
#include "commands/commands.h"
#include "oci/oci.h"

extern const struct option oci_create_options[];

/*
 * The container that the options ask for. words: the verb's, its name first; table: the
 * verb's options, which may follow the name. root stays the caller's. Returns 0, or -1 with *err.
 */
int oci_create_arguments(const struct command_context *context, const struct option *table,
                         const char *root, char **words, struct oci_create *ret,
                         struct error *err);
