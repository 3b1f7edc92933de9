/*
 * The words after the plugin's path in plugstack.conf: as Pyxis has them, and "enroot",
 * "transfer" and "transfer_ports".
 */
#pragma once

#include <limits.h>
#include <stdbool.h>

#define SETTINGS_PORTS_SIZE 24

struct settings {
        char runtime_path[PATH_MAX];
        char enroot[PATH_MAX]; /* our program; "": look it up in PATH */
        char importer[PATH_MAX]; /* a site's program that gets images; "": none */
        char transfer_ports[SETTINGS_PORTS_SIZE]; /* "FIRST-LAST" */
        bool execute_entrypoint, job_scope, sbatch_support, transfer, use_enroot_load,
                use_squashfuse;
};

/* Returns 0, or -1 after the mistake has been logged. */
int settings_parse(struct settings *ret, int argc, char **argv);

/* "1", "yes", "true", "y" and their opposites: 1, 0, or -1 for any other word. */
int settings_parse_bool(const char *word);
