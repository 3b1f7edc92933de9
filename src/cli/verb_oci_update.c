#include <errno.h>
#include <string.h>

#include "cli/oci.h"
#include "cli/verb.h"
#include "util/cleanup.h"
#include "util/json_writer.h"

static struct {
        const char *resources;
        const char *block_weight;
        const char *cpu_period, *cpu_quota, *cpu_shares, *rt_period, *rt_runtime, *cpus, *mems;
        const char *memory, *reservation, *swap, *pids;
        const char *cache_schema, *bandwidth_schema;
} values;

static const struct option options[] = {
        { 'r', "resources", "FILE", "Take all from a file like linux.resources (-: standard input)",
          OPTION_TEXT, &values.resources },
        { 0, "blkio-weight", "N", "Share of the disks, 10 to 1000", OPTION_TEXT,
          &values.block_weight },
        { 0, "cpu-period", "MICROSECONDS", "What --cpu-quota is a part of", OPTION_TEXT,
          &values.cpu_period },
        { 0, "cpu-quota", "MICROSECONDS", "Time of CPUs in a period; -1: no limit", OPTION_TEXT,
          &values.cpu_quota },
        { 0, "cpu-share", "N", "Share of the CPUs, 2 to 262144", OPTION_TEXT, &values.cpu_shares },
        { 0, "cpu-rt-period", "MICROSECONDS", "The same of real-time processes", OPTION_TEXT,
          &values.rt_period },
        { 0, "cpu-rt-runtime", "MICROSECONDS", "The same of real-time processes", OPTION_TEXT,
          &values.rt_runtime },
        { 0, "cpuset-cpus", "LIST", "CPUs", OPTION_TEXT, &values.cpus },
        { 0, "cpuset-mems", "LIST", "Memory nodes", OPTION_TEXT, &values.mems },
        { 0, "memory", "BYTES", "Memory", OPTION_TEXT, &values.memory },
        { 0, "memory-reservation", "BYTES", "Memory that is not taken away", OPTION_TEXT,
          &values.reservation },
        { 0, "memory-swap", "BYTES", "Memory and swap together; -1: no limit", OPTION_TEXT,
          &values.swap },
        { 0, "pids-limit", "N", "Number of processes; -1: no limit", OPTION_TEXT, &values.pids },
        { 0, "l3-cache-schema", "TEXT", "Not supported", OPTION_TEXT, &values.cache_schema },
        { 0, "mem-bw-schema", "TEXT", "Not supported", OPTION_TEXT, &values.bandwidth_schema },
        HELP_OPTION,
        END_OPTION,
};

/* Where the value of an option belongs in linux.resources; those of a section in a row. */
static const struct place {
        const char *section, *key;
        const char *const *value;
        bool is_text;
} places[] = {
        { "blockIO", "weight", &values.block_weight, false },
        { "cpu", "period", &values.cpu_period, false },
        { "cpu", "quota", &values.cpu_quota, false },
        { "cpu", "shares", &values.cpu_shares, false },
        { "cpu", "realtimePeriod", &values.rt_period, false },
        { "cpu", "realtimeRuntime", &values.rt_runtime, false },
        { "cpu", "cpus", &values.cpus, true },
        { "cpu", "mems", &values.mems, true },
        { "memory", "limit", &values.memory, false },
        { "memory", "reservation", &values.reservation, false },
        { "memory", "swap", &values.swap, false },
        { "pids", "limit", &values.pids, false },
};

static int write_value(struct json_writer *writer, const struct place *place, struct error *err)
{
        const char *value = *place->value;
        char *end;
        long long number;

        if (place->is_text) {
                json_write_text(writer, place->key, value);
                return 0;
        }
        errno = 0;
        number = strtoll(value, &end, 10);
        if (end == value || *end || errno)
                return error_set(err, EINVAL, "%s of %s: \"%.50s\" is not a number", place->key,
                                 place->section, value);
        json_write_number(writer, place->key, number);
        return 0;
}

static int write_resources(struct strbuf *text, struct error *err)
{
        struct json_writer writer = { .text = text };
        const char *section = NULL;

        json_write_object(&writer, NULL);
        for (size_t i = 0; i < ARRAY_SIZE(places); i++) {
                if (!*places[i].value)
                        continue;
                if (!section || strcmp(section, places[i].section) != 0) {
                        if (section)
                                json_write_end(&writer);
                        section = places[i].section;
                        json_write_object(&writer, section);
                }
                if (write_value(&writer, &places[i], err) < 0)
                        return -1;
        }
        if (section)
                json_write_end(&writer);
        json_write_end(&writer);
        return text->failed ? error_no_memory(err) : 0;
}

static int run(const struct command_context *context, char **words, struct error *err)
{
        auto_free char *root = oci_root(context->config, err);
        auto_strbuf struct strbuf text = STRBUF_INIT;

        if (!root || oci_parse_late_options(options, words + 1, err) < 0)
                return -1;
        if (values.cache_schema || values.bandwidth_schema)
                return error_set(err, EOPNOTSUPP, "--%s: Intel RDT is not supported",
                                 values.cache_schema ? "l3-cache-schema" : "mem-bw-schema");
        if (!values.resources && write_resources(&text, err) < 0)
                return -1;
        return command_oci_update(root, words[0], values.resources, strbuf_text(&text), err);
}

const struct verb verb_oci_update = {
        .name = "oci update",
        .words = "ID",
        .summary = "Change the limits of a container.",
        .options = options,
        .least = 1,
        .most = -1,
        .run = run,
};
