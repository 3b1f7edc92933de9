/*
 * "enroot oci [options] COMMAND …", with the command line of runc, so that whatever calls
 * that can call this; "enroot-oci" is the same for who gives a runtime's path only. The
 * options before the command are here, each command is a verb ("oci create").
 */
#pragma once

#include <stdbool.h>

#include "cli/options.h"
#include "commands/commands.h"

/* What stands before the command. */
extern struct oci_options {
        const char *root, *log, *log_format, *criu, *cgroup_manager, *rootless;
        bool debug, systemd_cgroup, version;
} oci_options;

/* Whether the program was called as "enroot-oci". */
bool oci_is_program(const char *program);

/*
 * argv[0] is the program or the word "oci"; program_argv are the words of the whole command
 * line. Returns the exit status.
 */
int oci_main(int argc, char **argv, char **program_argv, char **environment);

/* Where containers are: --root, or below the runtime directory. malloc'd, or NULL with *err. */
char *oci_root(const struct config *config, struct error *err);

/*
 * Options that follow the container's name: Slurm's own examples have "run ID -b BUNDLE".
 * words are what follows it. Returns 0, or -1 with *err for a word that is none.
 */
int oci_parse_late_options(const struct option *options, char **words, struct error *err);

/* "table", which NULL is, or "json". Returns 0, or -1 with *err. */
int oci_parse_format(const char *text, bool *ret_json, struct error *err);

/* Whether containers stay in the cgroups of their caller (--cgroup-manager disabled). */
bool oci_without_cgroups(void);

/* The options of a command that has none but --help. */
extern const struct option oci_no_options[];

/* A number of descriptors, NULL for none. Returns 0, or -1 with *err. */
int oci_parse_count(const char *option, const char *text, int *ret, struct error *err);
