/* What a start can be told, for everything that starts something: "start", "run", bundles. */
#pragma once

#include "cli/verb.h"

extern const struct option start_options[];

/* The path that --conf gives, or NULL. For struct verb. */
const char *start_configuration(char **words);

/* The options that change the configuration. */
void start_configure(struct config *config);

/* What the options say, with a command; the target is left to the caller. */
struct start_arguments start_arguments(char **command);

/* What a start that returned is for verb.run; lets go of what the options hold. */
int start_end(int result, int status);

/* verb_start.c: start a container or an image file with the options given. As verb.run. */
int start_run(const struct command_context *context, const char *target, char **command,
              struct error *err);
