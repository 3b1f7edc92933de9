/* The expansion of values; private to config/. */
#pragma once

#include "util/error.h"
#include "util/strlist.h"

/*
 * Runs a command for $(command). Returns its output, malloc'd and without the
 * newlines at its end, or NULL with *err.
 */
typedef char *expand_run_fn(const char *command, const struct strlist *environment,
                            struct error *err);

/* What config_expand (config.h) does, with run for its commands. */
char *expand_value(const char *value, const struct strlist *environment, expand_run_fn *run,
                   struct error *err);

/* Answers the common commands itself and gives others to /bin/sh. */
char *expand_run_command(const char *command, const struct strlist *environment, struct error *err);

/* Processors that this process may run on, at least 1. */
unsigned int available_processors(void);
