/*
 * A verb of the command line: its options, its words, and what runs it. Each verb has
 * a file of its own, verb_NAME.c, that owns the values of its options; verbs.c lists
 * them in the order in which the help names them.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "cli/options.h"
#include "commands/commands.h"

struct verb {
        const char *name;  /* one word, or two with a blank between them */
        const char *words; /* how the help names what follows the options */
        const char *summary;
        const char *details; /* paragraphs of the help between summary and options; NULL: none */
        const struct option *options;
        int least, most;  /* number of words; most -1: no limit */
        bool cancellable; /* writes files: Ctrl-C cleans up, progress is shown */
        bool enters;      /* executes what containers have: see util/own_program.h */
        bool with_owners; /* makes or reads trees whose files may have owners of their own */

        /* Path of a start configuration, or NULL; its directives count before options do. */
        const char *(*configuration)(char **words);

        /* Options that change the configuration; called once it is loaded. NULL: none do. */
        void (*configure)(struct config *config);

        /*
         * words: the NULL-terminated rest of the command line. Returns the exit status of the
         * program, or -1 with *err, which makes it 1.
         */
        int (*run)(const struct command_context *context, char **words, struct error *err);
};

#define HELP_OPTION                                                                                \
        {                                                                                          \
                'h', "help", NULL, "Show this help", OPTION_HELP, NULL                             \
        }
#define END_OPTION                                                                                 \
        {                                                                                          \
                0, NULL, NULL, NULL, OPTION_FLAG, NULL                                             \
        }

extern const struct verb verb_batch,
        verb_bundle,
        verb_cache_gc,
        verb_cache_list,
        verb_cache_remove,
        verb_cache_verify,
        verb_check,
        verb_completion,
        verb_create,
        verb_devices_cdi,
        verb_devices_doctor,
        verb_devices_list,
        verb_digest,
        verb_exec,
        verb_export,
        verb_import,
        verb_info,
        verb_inspect,
        verb_list,
        verb_load,
        verb_oci_bundle,
        verb_oci_create,
        verb_oci_delete,
        verb_oci_events,
        verb_oci_exec,
        verb_oci_features,
        verb_oci_kill,
        verb_oci_list,
        verb_oci_pause,
        verb_oci_ps,
        verb_oci_resume,
        verb_oci_run,
        verb_oci_start,
        verb_oci_state,
        verb_oci_update,
        verb_remove,
        verb_run,
        verb_start,
        verb_version;

extern const struct verb *const verbs[];
extern const size_t verb_count;

/* Parse the words after a verb's name and run it. Returns the exit status of the program. */
int verb_main(const struct verb *verb, int argc, char **argv, char **environment);

/*
 * The verb that a command line begins with, whose name is one word ("start") or two
 * ("cache list"); NULL when there is none. *ret_count is the number of its words.
 */
const struct verb *verb_find(int argc, char *const *argv, int *ret_count);
