#include "cli/cli.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "cli/ending.h"
#include "cli/helper.h"
#include "cli/messages.h"
#include "cli/oci.h"
#include "cli/options.h"
#include "cli/verb.h"
#include "util/cancel.h"
#include "util/own_program.h"

/* A line of the summary, its name as wide as the longest of all. */
static void print_summary(const char *name, const char *summary, FILE *out)
{
        size_t width = 0;

        for (size_t i = 0; i < verb_count; i++)
                if (strlen(verbs[i]->name) > width)
                        width = strlen(verbs[i]->name);
        fprintf(out, "   %-*s  %s\n", (int)width, name, summary);
}

static void print_usage(FILE *out)
{
        fprintf(out, "Usage: enroot COMMAND [ARG...]\n\n"
                     "Turn container images into unprivileged sandboxes.\n\n Commands:\n");
        for (size_t i = 0; i < verb_count; i++)
                print_summary(verbs[i]->name, verbs[i]->summary, out);
        print_summary("help", "Show this help.", out);
        fprintf(out, "\n\"enroot COMMAND --help\" tells more.\n");
}

/* Whether a verb's first word, of two, is this one. */
static bool is_of_group(const struct verb *verb, const char *name)
{
        size_t length = strlen(name);

        return strncmp(verb->name, name, length) == 0 && verb->name[length] == ' ';
}

/* "cache" for "cache gc", "cache list" …: returns false where no verb begins so. */
static bool print_group_usage(const char *name, FILE *out)
{
        bool found = false;

        for (size_t i = 0; i < verb_count; i++) {
                if (!is_of_group(verbs[i], name))
                        continue;
                if (!found)
                        fprintf(out, "Usage: enroot %s COMMAND [ARG...]\n\n Commands:\n", name);
                found = true;
                print_summary(verbs[i]->name, verbs[i]->summary, out);
        }
        return found;
}

static void print_verb_usage(const struct verb *verb, FILE *out)
{
        fprintf(out, "Usage: enroot %s [options]%s%s\n\n%s\n", verb->name,
                *verb->words ? " [--] " : "", verb->words, verb->summary);
        if (verb->details)
                fprintf(out, "\n%s", verb->details);
        option_table_print(verb->options, out);
}

static int run_verb(const struct verb *verb, char **words, char **environment)
{
        struct error err = ERROR_INIT;
        auto_config struct config config = { 0 };
        struct report report = { 0 };
        const struct command_context context = { .config = &config, .report = &report };
        const char *conf = verb->configuration ? verb->configuration(words) : NULL;
        int result;

        messages_init(&report);
        if (config_load(&config, environment, &err) < 0) {
                message_error(err.message);
                return 1;
        }
        if (conf && command_add_directives(&config, conf, &err) < 0) {
                message_error(err.message);
                return 1;
        }
        if (verb->configure)
                verb->configure(&config);
        if (verb->with_owners && command_enter_subids(&context, &err) < 0) {
                message_error(err.message);
                return 1;
        }
        if (verb->cancellable) {
                cancel_install();
                messages_progress_start(&report);
        }
        result = verb->run(&context, words, &err);
        messages_progress_stop();
        if (result < 0)
                message_error(err.message);
        else if (fflush(stdout) == EOF) {
                message_error("cannot write to standard output");
                result = -1;
        }
        if (result < 0 && cancel_signal())
                return ending_of_signal(cancel_signal());
        return result < 0 ? 1 : result;
}

int verb_main(const struct verb *verb, int argc, char **argv, char **environment)
{
        struct error err = ERROR_INIT;
        int rest = 0, words, result = option_table_parse(verb->options, argc, argv, &rest, &err);

        if (result > 0) {
                print_verb_usage(verb, stdout);
                return 0;
        }
        words = argc - rest;
        if (result == 0 && (words < verb->least || (verb->most >= 0 && words > verb->most)))
                result = error_set(&err, EINVAL, "%s: %s", verb->name,
                                   words < verb->least ? "missing argument" : "too many arguments");
        if (result < 0) {
                message_error(err.message);
                print_verb_usage(verb, stderr);
                return 1;
        }
        return run_verb(verb, argv + rest, environment);
}

static bool is_help(const char *word)
{
        return word && (strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0);
}

/* No verb has the name that the command line begins with. */
static int without_verb(int argc, char **argv)
{
        const char *name = argc > 1 ? argv[1] : "";
        struct error err = ERROR_INIT;

        if (strcmp(name, "help") == 0 || is_help(name)) {
                print_usage(stdout);
                return 0;
        }
        if (*name && is_help(argv[2]) && print_group_usage(name, stdout))
                return 0;
        if (*name) {
                error_set(&err, EINVAL, "unknown command: %s", name);
                message_error(err.message);
        }
        if (!print_group_usage(name, stderr))
                print_usage(stderr);
        return 1;
}

int cli_main(int argc, char **argv, char **environment)
{
        const char *program = argc > 0 ? argv[0] : NULL;
        /* The plugin's helper reaches everything, and is no part of bundles. */
        const struct helper *helper = helper_is_called(&helper_step, program)
                                              ? &helper_step
                                              : helper_find(program);
        int count = 0;
        const struct verb *verb = verb_find(argc > 1 ? argc - 1 : 0, argv + 1, &count);
        struct error err = ERROR_INIT;

        if (helper)
                return helper_main(helper, argc, argv, environment);
        if (oci_is_program(argc > 0 ? argv[0] : NULL))
                return oci_main(argc, argv, argv, environment);
        if (argc > 1 && strcmp(argv[1], "oci") == 0)
                return oci_main(argc - 1, argv + 1, argv, environment);
        if (verb && verb->enters && own_program_protect(argv, environment, &err) < 0) {
                message_error(err.message);
                return 1;
        }
        if (verb)
                return verb_main(verb, argc - 1 - count, argv + 1 + count, environment);
        return without_verb(argc, argv);
}
