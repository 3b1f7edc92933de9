#include "cli/cli.h"

#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "cli/messages.h"
#include "cli/options.h"
#include "commands/commands.h"
#include "util/cancel.h"

/* Values of all options of all verbs; each verb's table points at those that it has. */
static struct {
        bool force, root, writable;
        const char *arch, *name, *output, *rc;
        struct strlist mounts, env;
} values;

#define HELP_OPTION                                                                                \
        {                                                                                          \
                'h', "help", NULL, "Show this help", OPTION_HELP, NULL                             \
        }
#define END_OPTION                                                                                 \
        {                                                                                          \
                0, NULL, NULL, NULL, OPTION_FLAG, NULL                                             \
        }

static const struct option import_options[] = {
        { 'a', "arch", "ARCH", "Architecture of the image (defaults to this machine's)",
          OPTION_TEXT, &values.arch },
        { 'o', "output", "FILE", "Name of the image file (defaults to \"URI.sqsh\")", OPTION_TEXT,
          &values.output },
        HELP_OPTION,
        END_OPTION,
};

static const struct option create_options[] = {
        { 'n', "name", "NAME", "Name of the container (defaults to \"IMAGE\")", OPTION_TEXT,
          &values.name },
        { 'f', "force", NULL, "Replace an existing container", OPTION_FLAG, &values.force },
        HELP_OPTION,
        END_OPTION,
};

static const struct option start_options[] = {
        { 'e', "env", "KEY[=VAL]", "Set an environment variable inside the container", OPTION_LIST,
          &values.env },
        { 0, "rc", "SCRIPT", "Run this script instead of the image's /etc/rc", OPTION_TEXT,
          &values.rc },
        { 'r', "root", NULL, "Be root inside the container", OPTION_FLAG, &values.root },
        { 'w', "rw", NULL, "Make the root file system writable", OPTION_FLAG, &values.writable },
        { 'm', "mount", "FSTAB", "Mount something of the host: SRC[:DST[:TYPE[:OPTIONS]]]",
          OPTION_LIST, &values.mounts },
        HELP_OPTION,
        END_OPTION,
};

static const struct option remove_options[] = {
        { 'f', "force", NULL, "Do not ask", OPTION_FLAG, &values.force },
        HELP_OPTION,
        END_OPTION,
};

static const struct option plain_options[] = { HELP_OPTION, END_OPTION };

static bool ask(const char *question)
{
        char answer[16];

        fprintf(stderr, "%s [y/N] ", question);
        (void)fflush(stderr);
        return fgets(answer, sizeof(answer), stdin) && (answer[0] == 'y' || answer[0] == 'Y');
}

static int run_import(const struct command_context *context, char **words, struct error *err)
{
        struct import_arguments arguments = {
                .uri = words[0],
                .output = values.output,
                .arch = values.arch,
        };

        return command_import(context, &arguments, err);
}

static int run_create(const struct command_context *context, char **words, struct error *err)
{
        struct create_arguments arguments = { .image = words[0], .name = values.name };

        return command_create(context, &arguments, err);
}

static int run_start(const struct command_context *context, char **words, struct error *err)
{
        struct start_arguments arguments = {
                .target = words[0],
                .rc = values.rc,
                .mounts = &values.mounts,
                .env = &values.env,
                .command = words + 1,
        };

        return command_start(context, &arguments, err);
}

static int run_list(const struct command_context *context, char **words, struct error *err)
{
        (void)words;
        return command_list(context, stdout, err);
}

static int run_remove(const struct command_context *context, char **words, struct error *err)
{
        for (; *words; words++)
                if (command_remove(context, *words, ask, err) < 0)
                        return -1;
        return 0;
}

static int run_info(const struct command_context *context, char **words, struct error *err)
{
        (void)words;
        return command_info(context, stdout, err);
}

static int run_version(const struct command_context *context, char **words, struct error *err)
{
        (void)context;
        (void)words;
        (void)err;
        (void)puts(ENROOT_VERSION);
        return 0;
}

struct verb {
        const char *name;
        const char *words; /* how the help names what follows the options */
        const char *summary;
        const char *details; /* NULL: none */
        const struct option *options;
        int least, most;  /* number of words; most -1: no limit */
        bool cancellable; /* writes files: Ctrl-C cleans up, progress is shown */
        int (*run)(const struct command_context *context, char **words, struct error *err);
};

static const struct verb verbs[] = {
        { "create", "IMAGE", "Create a container from an image file.", NULL, create_options, 1, 1,
          true, run_create },
        { "import", "URI", "Import a container image as an image file.",
          "   docker://[USER@][REGISTRY#]IMAGE[:TAG][@DIGEST]  From a registry\n"
          "   docker://[USER@]REGISTRY/IMAGE[:TAG][@DIGEST]    The same, written as Docker does\n",
          import_options, 1, 1, true, run_import },
        { "info", "", "Show the configuration and where each value comes from.", NULL,
          plain_options, 0, 0, false, run_info },
        { "list", "", "List the containers.", NULL, plain_options, 0, 0, false, run_list },
        { "remove", "NAME...", "Delete containers.", NULL, remove_options, 1, -1, false,
          run_remove },
        { "start", "NAME|IMAGE [COMMAND] [ARG...]",
          "Start a container, or an image file directly (changes then stay in memory).", NULL,
          start_options, 1, -1, false, run_start },
        { "version", "", "Print the version.", NULL, plain_options, 0, 0, false, run_version },
};

static void print_usage(FILE *out)
{
        fprintf(out, "Usage: enroot COMMAND [ARG...]\n\n"
                     "Turn container images into unprivileged sandboxes.\n\n Commands:\n");
        for (size_t i = 0; i < ARRAY_SIZE(verbs); i++)
                fprintf(out, "   %-8s %s\n", verbs[i].name, verbs[i].summary);
        fprintf(out, "   %-8s %s\n\n\"enroot COMMAND --help\" tells more.\n", "help",
                "Show this help.");
}

static void print_verb_usage(const struct verb *verb, FILE *out)
{
        fprintf(out, "Usage: enroot %s [options] [--] %s\n\n%s\n", verb->name, verb->words,
                verb->summary);
        if (verb->details)
                fprintf(out, "\n Schemes:\n%s", verb->details);
        option_table_print(verb->options, out);
}

static void set_flags(struct config *config)
{
        config->force_override |= values.force;
        config->remap_root |= values.root;
        config->rootfs_writable |= values.writable;
}

/* Die from the signal that ended the work, so that a calling shell sees it. */
static int finish_cancelled(void)
{
        int sig = cancel_signal();

        (void)signal(sig, SIG_DFL);
        (void)raise(sig);
        return 128 + sig;
}

static int run_verb(const struct verb *verb, char **words, char **environment)
{
        struct error err = ERROR_INIT;
        auto_config struct config config = { 0 };
        struct report report = { 0 };
        const struct command_context context = { .config = &config, .report = &report };
        int result;

        messages_init(&report);
        if (config_load(&config, environment, &err) < 0) {
                message_error(err.message);
                return 1;
        }
        set_flags(&config);
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
                return finish_cancelled();
        return result < 0 ? 1 : 0;
}

static const struct verb *find_verb(const char *name)
{
        for (size_t i = 0; i < ARRAY_SIZE(verbs); i++)
                if (strcmp(verbs[i].name, name) == 0)
                        return &verbs[i];
        return NULL;
}

static int parse_and_run(const struct verb *verb, int argc, char **argv, char **environment)
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

int cli_main(int argc, char **argv, char **environment)
{
        const char *name = argc > 1 ? argv[1] : "";
        const struct verb *verb = find_verb(name);
        int status;

        if (verb) {
                status = parse_and_run(verb, argc - 2, argv + 2, environment);
        } else if (strcmp(name, "help") == 0 || strcmp(name, "--help") == 0 ||
                   strcmp(name, "-h") == 0) {
                print_usage(stdout);
                status = 0;
        } else {
                if (*name)
                        fprintf(stderr, "enroot: unknown command: %s\n", name);
                print_usage(stderr);
                status = 1;
        }
        strlist_release(&values.mounts);
        strlist_release(&values.env);
        return status;
}
