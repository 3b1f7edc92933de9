#include "cli/helper.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>

#include "cli/verb.h"

static struct {
        const char *root, *pass;
} values = { .root = "/", .pass = "0" };

static const struct option options[] = {
        { 0, "root", "DIR", "Mount below this directory (default: /)", OPTION_TEXT, &values.root },
        { 0, "pass", "NUMBER", "Mount the lines of this fs_passno (default: 0)", OPTION_TEXT,
          &values.pass },
        HELP_OPTION,
        END_OPTION,
};

static int run(char **words, char **environment, struct report *report, struct error *err)
{
        char *end;
        long pass = strtol(values.pass, &end, 10);

        (void)environment;
        if (*end || pass < INT_MIN || pass > INT_MAX)
                return error_set(err, EINVAL, "--pass %s: not a number", values.pass);
        return command_mount(values.root, (int)pass, words, report, err);
}

const struct helper helper_mount = {
        .name = "enroot-mount",
        .words = "FSTAB...",
        .summary = "Mount what fstab files say, \"-\" being standard input.",
        .options = options,
        .least = 1,
        .run = run,
};
