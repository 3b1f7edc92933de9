#include "cli/oci.h"

#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "cli/messages.h"
#include "cli/verb.h"
#include "oci/oci.h"
#include "util/own_program.h"
#include "util/path.h"

#define GROUP "oci "

/* More than any caller has; so many numbers are kept in memory. */
#define DESCRIPTORS_LIMIT 65536

struct oci_options oci_options;

static const struct option options[] = {
        { 0, "root", "DIR", "Directory of the containers' state", OPTION_TEXT, &oci_options.root },
        { 0, "log", "FILE", "Append errors to a file, too", OPTION_TEXT, &oci_options.log },
        { 0, "log-format", "FORMAT", "text or json", OPTION_TEXT, &oci_options.log_format },
        { 0, "debug", NULL, "Accepted for runc's sake", OPTION_FLAG, &oci_options.debug },
        { 0, "systemd-cgroup", NULL, "Accepted for runc's sake", OPTION_FLAG,
          &oci_options.systemd_cgroup },
        { 0, "cgroup-manager", "NAME", "disabled: make no cgroups", OPTION_TEXT,
          &oci_options.cgroup_manager },
        { 0, "rootless", "WORD", "Accepted for runc's sake", OPTION_TEXT, &oci_options.rootless },
        { 0, "criu", "PATH", "Accepted for runc's sake", OPTION_TEXT, &oci_options.criu },
        { 'v', "version", NULL, "Show the version", OPTION_FLAG, &oci_options.version },
        HELP_OPTION,
        END_OPTION,
};

const struct option oci_no_options[] = {
        HELP_OPTION,
        END_OPTION,
};

bool oci_is_program(const char *program)
{
        const char *slash = program ? strrchr(program, '/') : NULL;

        return program && strcmp(slash ? slash + 1 : program, "enroot-oci") == 0;
}

static void print_usage(FILE *out)
{
        fprintf(out, "Usage: enroot oci [options] COMMAND [ARG...]\n\n"
                     "Run containers from OCI bundles, with the command line of runc.\n\n"
                     " Commands:\n");
        for (size_t i = 0; i < verb_count; i++)
                if (strncmp(verbs[i]->name, GROUP, strlen(GROUP)) == 0)
                        fprintf(out, "   %-13s %s\n", verbs[i]->name + strlen(GROUP),
                                verbs[i]->summary);
        option_table_print(options, out);
}

static const struct verb *find(const char *name)
{
        for (size_t i = 0; i < verb_count; i++)
                if (strncmp(verbs[i]->name, GROUP, strlen(GROUP)) == 0 &&
                    strcmp(verbs[i]->name + strlen(GROUP), name) == 0)
                        return verbs[i];
        return NULL;
}

static int open_log(struct error *err)
{
        const char *format = oci_options.log_format ? oci_options.log_format : "text";

        if (strcmp(format, "text") != 0 && strcmp(format, "json") != 0)
                return error_set(err, EINVAL, "--log-format %s: text and json are known", format);
        if (!oci_options.log)
                return 0;
        return messages_log_to(oci_options.log, *format == 'j', err);
}

int oci_main(int argc, char **argv, char **program_argv, char **environment)
{
        struct error err = ERROR_INIT;
        struct report report = { 0 };
        int rest = 0, result = option_table_parse(options, argc - 1, argv + 1, &rest, &err);
        const char *name = result == 0 && argv[rest + 1] ? argv[rest + 1] : NULL;
        const struct verb *verb = name ? find(name) : NULL;

        messages_init(&report);
        /* Ignored, as some callers have it, it would take exit statuses along. */
        (void)signal(SIGCHLD, SIG_DFL);
        if (result > 0 || (name && strcmp(name, "help") == 0)) {
                print_usage(stdout);
                return 0;
        }
        if (result == 0 && oci_options.version) {
                printf("enroot-oci version %s\nspec: %s\n", ENROOT_VERSION, OCI_VERSION_MAX);
                return 0;
        }
        if (result == 0)
                result = open_log(&err);
        if (result == 0 && !verb)
                result = name ? error_set(&err, EINVAL, "oci: unknown command: %s", name)
                              : error_set(&err, EINVAL, "oci: missing command");
        if (result < 0) {
                message_error(err.message);
                print_usage(stderr);
                return 1;
        }
        if (verb->enters && own_program_protect(program_argv, environment, &err) < 0) {
                message_error(err.message);
                return 1;
        }
        return verb_main(verb, argc - 2 - rest, argv + 2 + rest, environment);
}

char *oci_root(const struct config *config, struct error *err)
{
        char *root;

        if (oci_options.root)
                return path_absolute(oci_options.root, err);
        root = path_join(config->runtime_path, "oci");
        if (!root)
                error_no_memory(err);
        return root;
}

int oci_parse_late_options(const struct option *options_of_verb, char **words, struct error *err)
{
        int count = 0, rest = 0;

        while (words[count])
                count++;
        if (option_table_parse(options_of_verb, count, words, &rest, err) < 0)
                return -1;
        return rest < count ? error_set(err, EINVAL, "too many arguments: %s", words[rest]) : 0;
}

int oci_parse_count(const char *option, const char *text, int *ret, struct error *err)
{
        char *end;
        long number = text ? strtol(text, &end, 10) : 0;

        if (text && (end == text || *end || number < 0 || number > DESCRIPTORS_LIMIT))
                return error_set(err, EINVAL, "%s %s: not a number of descriptors", option, text);
        *ret = (int)number;
        return 0;
}

int oci_parse_format(const char *text, bool *ret_json, struct error *err)
{
        *ret_json = text && strcmp(text, "json") == 0;
        if (text && !*ret_json && strcmp(text, "table") != 0)
                return error_set(err, EINVAL, "--format %s: table and json are known", text);
        return 0;
}

bool oci_without_cgroups(void)
{
        return oci_options.cgroup_manager && strcmp(oci_options.cgroup_manager, "disabled") == 0;
}
