#include "cli/verb.h"

static struct {
        struct strlist mounts, env;
} values;

static const struct option options[] = {
        { 'm', "mount", "FSTAB", "Add a mount (SRC[:DST[:TYPE[:OPTS]]])", OPTION_LIST,
          &values.mounts },
        { 'e', "env", "KEY[=VAL]", "Set an environment variable", OPTION_LIST, &values.env },
        HELP_OPTION,
        END_OPTION,
};

static int run(const struct command_context *context, char **words, struct error *err)
{
        const struct oci_bundle_arguments arguments = {
                .image = words[0],
                .directory = words[1],
                .mounts = &values.mounts,
                .env = &values.env,
        };
        int result = command_oci_bundle(context, &arguments, err);

        strlist_release(&values.mounts);
        strlist_release(&values.env);
        return result;
}

const struct verb verb_oci_bundle = {
        .name = "oci bundle",
        .words = "IMAGE DIR",
        .summary = "Make a bundle from an image file.",
        .options = options,
        .least = 2,
        .most = 2,
        .cancellable = true,
        .run = run,
};
