/*
 * The command line of a bundle: what the program at its front does. It is linked
 * statically, and needs nothing of the machine that it runs on but the kernel.
 */
#include "cli/cli.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "bundle/bundle.h"
#include "cli/apart.h"
#include "cli/helper.h"
#include "cli/messages.h"
#include "cli/start_options.h"

static struct {
        bool info, keep, quiet, verify, extract;
        const char *target;
} values;

static const struct option options[] = {
        { 'i', "info", NULL, "Print what this bundle is", OPTION_FLAG, &values.info },
        { 'k', "keep", NULL, "Extract to the target directory, and keep it", OPTION_FLAG,
          &values.keep },
        { 'q', "quiet", NULL, "Do not show the progress of an extraction", OPTION_FLAG,
          &values.quiet },
        { 't', "target", "DIR", "Use another target directory", OPTION_TEXT, &values.target },
        { 'v', "verify", NULL, "Print what this machine has of what bundles need", OPTION_FLAG,
          &values.verify },
        { 'x', "extract", NULL, "Extract to the target directory, and end", OPTION_FLAG,
          &values.extract },
        { 0, "", NULL, NULL, OPTION_TABLE, (struct option *)start_options },
        END_OPTION,
};

/* The bundle that this program is. */
struct self {
        struct bundle bundle;
        int fd;
        char path[PATH_MAX];
};

static void self_release(struct self *self)
{
        bundle_release(&self->bundle);
        if (self->fd >= 0)
                (void)close(self->fd);
}

static int self_open(struct self *self, struct error *err)
{
        ssize_t length = readlink("/proc/self/exe", self->path, sizeof(self->path) - 1);

        if (length < 0)
                return error_errno(err, "/proc/self/exe");
        self->path[length] = '\0';
        self->fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
        if (self->fd < 0)
                return error_errno(err, "%s", self->path);
        if (bundle_read(self->fd, &self->bundle, err) < 0)
                return error_prefix(err, "%s", self->path);
        return 0;
}

static void print_usage(const struct self *self, FILE *out)
{
        const char *slash = strrchr(self->path, '/');

        fprintf(out, "Usage: %s [options] [--] [COMMAND] [ARG...]\n", slash + 1);
        if (*self->bundle.description)
                fprintf(out, "\n%s\n", self->bundle.description);
        option_table_print(options, out);
}

static int print_info(const struct bundle *bundle, struct error *err)
{
        auto_strbuf struct strbuf text = STRBUF_INIT;

        if (bundle_print(bundle, &text, err) < 0)
                return -1;
        (void)fputs(strbuf_text(&text), stdout);
        return 0;
}

/* ---- what it does ---- */

struct extraction {
        const struct bundle_run_arguments *arguments;
        const struct bundle_place *place;
};

static int extract(const struct command_context *context, const void *data, struct error *err)
{
        const struct extraction *extraction = data;

        return command_bundle_extract(context, extraction->arguments, extraction->place, err);
}

/* Returns the exit status, or -1 with *err. */
static int run(const struct command_context *context, const struct self *self, char **command,
               struct error *err)
{
        const struct bundle_run_arguments arguments = {
                .bundle = &self->bundle,
                .fd = self->fd,
                .path = self->path,
                .target = values.target,
                .keep = values.keep || values.extract,
                .quiet = values.quiet,
                .start = start_arguments(command),
        };
        auto_cleanup(command_bundle_place_release) struct bundle_place place = BUNDLE_PLACE_INIT;
        const struct extraction extraction = { .arguments = &arguments, .place = &place };
        int status = 0, result;

        if (command_bundle_place(context, &arguments, &place, err) < 0)
                return -1;
        result = place.directory ? apart_run(context, extract, &extraction, !values.quiet, err) : 0;
        if (result != 0 || values.extract)
                return result;
        result = command_bundle_start(context, &arguments, &place, &status, err);
        return start_end(result, status);
}

/* The configuration, and what is done with it. */
static int configure_and_run(struct report *report, const struct self *self, char **command,
                             char **environment, struct error *err)
{
        const struct check_arguments check = { .verify = true };
        auto_strlist struct strlist variables = STRLIST_INIT;
        auto_config struct config config = { 0 };
        const struct command_context context = { .config = &config, .report = report };
        const char *conf = start_configuration(NULL);

        if (command_bundle_environment(&self->bundle, environment, &variables, err) < 0)
                return -1;
        if (config_load(&config, variables.items, err) < 0 ||
            (conf && command_add_directives(&config, conf, err) < 0))
                return -1;
        start_configure(&config);
        if (values.verify)
                return command_check(&context, &check, stdout, err);
        return run(&context, self, command, err);
}

static int parse_and_run(struct report *report, struct self *self, int argc, char **argv,
                         char **environment, struct error *err)
{
        int rest = 0, result;

        if (self_open(self, err) < 0)
                return -1;
        result = option_table_parse(options, argc - 1, argv + 1, &rest, err);
        if (result != 0) {
                print_usage(self, result > 0 ? stdout : stderr);
                return result > 0 ? 0 : -1;
        }
        if (bundle_verify(self->fd, &self->bundle, err) < 0)
                return error_prefix(err, "%s", self->path);
        if (values.info)
                return print_info(&self->bundle, err);
        return configure_and_run(report, self, argv + 1 + rest, environment, err);
}

int cli_bundle_main(int argc, char **argv, char **environment)
{
        const struct helper *helper = helper_find(argc > 0 ? argv[0] : NULL);
        auto_cleanup(self_release) struct self self = { .bundle = BUNDLE_INIT, .fd = -1 };
        struct error err = ERROR_INIT;
        struct report report = { 0 };
        int result;

        if (helper)
                return helper_main(helper, argc, argv, environment);
        messages_init(&report);
        result = parse_and_run(&report, &self, argc, argv, environment, &err);
        if (result >= 0 && fflush(stdout) == EOF)
                result = error_set(&err, EIO, "cannot write to standard output");
        if (result < 0)
                message_error(err.message);
        return result < 0 ? 1 : result;
}
