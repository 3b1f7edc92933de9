/*
 * The other names of the program, which scripts of sites call: enroot-mount and its like.
 * Each has a file of its own, helper_NAME.c; helpers.c lists them.
 */
#pragma once

#include <stdbool.h>

#include "cli/options.h"
#include "util/report.h"

struct helper {
        const char *name;  /* the program's, "enroot-mount" */
        const char *words; /* how the help names what follows the options */
        const char *summary;
        const struct option *options;
        int least;                    /* number of words */
        bool enters;                  /* as that of struct verb */

        /* As that of struct verb. */
        int (*run)(char **words, char **environment, struct report *report, struct error *err);
};

extern const struct helper helper_mount, helper_nsenter, helper_step, helper_switchroot;

/* Whether a program was called as the helper (argv[0], with or without a path). */
bool helper_is_called(const struct helper *helper, const char *program);

/* The helper of scripts that a program was called as (argv[0], with or without a path), or NULL. */
const struct helper *helper_find(const char *program);

/* Run it. Returns the exit status. */
int helper_main(const struct helper *helper, int argc, char **argv, char **environment);
