#include "cli/verb.h"

static struct {
        bool root, writable, dry_run;
        const char *rc;
        struct strlist mounts, env;
} values;

static const struct option options[] = {
        { 'e', "env", "KEY[=VAL]", "Set an environment variable inside the container", OPTION_LIST,
          &values.env },
        { 0, "rc", "SCRIPT", "Run this script instead of the image's /etc/rc", OPTION_TEXT,
          &values.rc },
        { 'r', "root", NULL, "Be root inside the container", OPTION_FLAG, &values.root },
        { 'w', "rw", NULL, "Make the root file system writable", OPTION_FLAG, &values.writable },
        { 'm', "mount", "FSTAB", "Mount something of the host: SRC[:DST[:TYPE[:OPTIONS]]]",
          OPTION_LIST, &values.mounts },
        { 0, "dry-run", NULL, "Print what would be done, and do nothing", OPTION_FLAG,
          &values.dry_run },
        HELP_OPTION,
        END_OPTION,
};

static void configure(struct config *config)
{
        config->remap_root |= values.root;
        config->rootfs_writable |= values.writable;
}

static int run(const struct command_context *context, char **words, struct error *err)
{
        struct start_arguments arguments = {
                .target = words[0],
                .rc = values.rc,
                .mounts = &values.mounts,
                .env = &values.env,
                .command = words + 1,
                .dry_run = values.dry_run ? stdout : NULL,
        };
        int result = command_start(context, &arguments, err);

        strlist_release(&values.mounts);
        strlist_release(&values.env);
        return result;
}

const struct verb verb_start = {
        .name = "start",
        .words = "NAME|IMAGE [COMMAND] [ARG...]",
        .summary = "Start a container, or an image file directly (changes then stay in memory).",
        .options = options,
        .least = 1,
        .most = -1,
        .configure = configure,
        .run = run,
};
