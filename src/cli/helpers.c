#include "cli/helper.h"

#include <errno.h>
#include <string.h>

#include "cli/messages.h"
#include "util/cleanup.h"
#include "util/own_program.h"

static const struct helper *const helpers[] = {
        &helper_mount,
        &helper_nsenter,
        &helper_switchroot,
};

bool helper_is_called(const struct helper *helper, const char *program)
{
        const char *slash = program ? strrchr(program, '/') : NULL;

        return program && strcmp(helper->name, slash ? slash + 1 : program) == 0;
}

const struct helper *helper_find(const char *program)
{
        for (size_t i = 0; i < ARRAY_SIZE(helpers); i++)
                if (helper_is_called(helpers[i], program))
                        return helpers[i];
        return NULL;
}

static void print_usage(const struct helper *helper, FILE *out)
{
        fprintf(out, "Usage: %s [options] [--] %s\n\n%s\n", helper->name, helper->words,
                helper->summary);
        option_table_print(helper->options, out);
}

int helper_main(const struct helper *helper, int argc, char **argv, char **environment)
{
        struct error err = ERROR_INIT;
        struct report report = { 0 };
        int rest = 0;
        int result = option_table_parse(helper->options, argc - 1, argv + 1, &rest, &err);

        messages_init(&report);
        if (result > 0 || argc == 1) {
                print_usage(helper, stdout);
                return 0;
        }
        if (result == 0 && argc - 1 - rest < helper->least)
                result = error_set(&err, EINVAL, "%s: missing argument", helper->name);
        if (result < 0) {
                message_error(err.message);
                print_usage(helper, stderr);
                return 1;
        }
        if (helper->enters && own_program_protect(argv, environment, &err) < 0) {
                message_error(err.message);
                return 1;
        }
        result = helper->run(argv + 1 + rest, environment, &report, &err);
        if (result < 0) {
                (void)error_prefix(&err, "%s", helper->name);
                message_error(err.message);
                return 1;
        }
        return result;
}
