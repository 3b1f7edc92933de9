/* What a start can be told, for every verb that starts something: "start" and "run". */
#pragma once

#include "cli/verb.h"

extern const struct option start_options[];

/* The path that --conf gives, or NULL. For struct verb. */
const char *start_configuration(char **words);

/* The options that change the configuration. */
void start_configure(struct config *config);

/* Start a container or an image file with the options given. As verb.run. */
int start_run(const struct command_context *context, const char *target, char **command,
              struct error *err);
