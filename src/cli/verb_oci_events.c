#include <errno.h>
#include <string.h>

#include "cli/oci.h"
#include "cli/verb.h"
#include "util/cleanup.h"

#define INTERVAL       "5s"
#define INTERVAL_LIMIT 86400 /* seconds */

static struct {
        const char *interval;
        bool stats;
} values;

static const struct option options[] = {
        { 0, "interval", "TIME", "How often, such as 500ms, 5s (the default), 1m", OPTION_TEXT,
          &values.interval },
        { 0, "stats", NULL, "Show it once", OPTION_FLAG, &values.stats },
        HELP_OPTION,
        END_OPTION,
};

/* One number and one unit, of what Go's time.ParseDuration takes. */
static int parse_interval(const char *text, int *ret_milliseconds, struct error *err)
{
        static const struct {
                const char *name;
                double milliseconds;
        } units[] = { { "ms", 1 }, { "s", 1000 }, { "m", 60000 }, { "h", 3600000 } };
        char *end;
        double number = strtod(text, &end);

        for (size_t i = 0; end != text && i < ARRAY_SIZE(units); i++) {
                double time = number * units[i].milliseconds;

                if (strcmp(end, units[i].name) != 0 || !(time >= 1) || time > INTERVAL_LIMIT * 1e3)
                        continue;
                *ret_milliseconds = (int)time;
                return 0;
        }
        return error_set(err, EINVAL, "--interval %s: not a time such as 500ms, 5s or 1m", text);
}

static int run(const struct command_context *context, char **words, struct error *err)
{
        auto_free char *root = oci_root(context->config, err);
        int milliseconds = 0;

        if (!root || parse_interval(values.interval ? values.interval : INTERVAL, &milliseconds,
                                    err) < 0)
                return -1;
        return command_oci_events(root, words[0], values.stats ? 0 : milliseconds, stdout, err);
}

const struct verb verb_oci_events = {
        .name = "oci events",
        .words = "ID",
        .summary = "Show what a container uses, and when memory ran out, as lines of JSON.",
        .options = options,
        .least = 1,
        .most = 1,
        .run = run,
};
