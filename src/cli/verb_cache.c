#include "cli/verb.h"

static struct {
        bool all, json;
        const char *max_age, *max_size;
} values;

static const struct option list_options[] = {
        { 0, "json", NULL, "Print JSON", OPTION_FLAG, &values.json },
        HELP_OPTION,
        END_OPTION,
};

static const struct option gc_options[] = {
        { 0, "max-size", "SIZE", "Keep at most so much, as in 50G (ENROOT_CACHE_MAX_SIZE)",
          OPTION_TEXT, &values.max_size },
        { 0, "max-age", "TIME", "Delete what was not used for so long, as in 30d "
                                "(ENROOT_CACHE_MAX_AGE)",
          OPTION_TEXT, &values.max_age },
        HELP_OPTION,
        END_OPTION,
};

static const struct option verify_options[] = { HELP_OPTION, END_OPTION };

static const struct option remove_options[] = {
        { 0, "all", NULL, "Delete everything", OPTION_FLAG, &values.all },
        HELP_OPTION,
        END_OPTION,
};

static int run_list(const struct command_context *context, char **words, struct error *err)
{
        (void)words;
        return command_cache_list(context, values.json, stdout, err);
}

static int run_gc(const struct command_context *context, char **words, struct error *err)
{
        (void)words;
        return command_cache_gc(context, values.max_size, values.max_age, err);
}

static int run_verify(const struct command_context *context, char **words, struct error *err)
{
        (void)words;
        return command_cache_verify(context, err);
}

static int run_remove(const struct command_context *context, char **words, struct error *err)
{
        return command_cache_remove(context, words, values.all, err);
}

const struct verb verb_cache_list = {
        .name = "cache list",
        .words = "",
        .summary = "List what the cache holds.",
        .options = list_options,
        .run = run_list,
};

const struct verb verb_cache_gc = {
        .name = "cache gc",
        .words = "",
        .summary = "Delete what the cache holds over its limits.",
        .options = gc_options,
        .run = run_gc,
};

const struct verb verb_cache_verify = {
        .name = "cache verify",
        .words = "",
        .summary = "Check what the cache holds and remove what is damaged.",
        .options = verify_options,
        .cancellable = true,
        .run = run_verify,
};

const struct verb verb_cache_remove = {
        .name = "cache remove",
        .words = "[DIGEST...]",
        .summary = "Delete something from the cache.",
        .options = remove_options,
        .most = -1,
        .run = run_remove,
};
