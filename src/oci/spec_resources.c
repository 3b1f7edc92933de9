/*
 * linux.resources of config.json as files of a cgroup (v2). What only v1 has is converted
 * where the kernel's documentation knows a counterpart, and else put among the ignored.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "oci/spec.h"

static int add(struct oci_spec *ret, struct error *err, const char *fmt, ...)
        __attribute__((format(printf, 3, 4)));

static int add(struct oci_spec *ret, struct error *err, const char *fmt, ...)
{
        va_list arguments;
        char *setting;
        int length;

        va_start(arguments, fmt);
        length = vasprintf(&setting, fmt, arguments);
        va_end(arguments);
        if (length < 0 || strlist_append_owned(&ret->resources, setting) < 0)
                return error_no_memory(err);
        return 0;
}

/* "FILE=VALUE", where -1 is "max". */
static int add_limit(const struct json_node *object, const char *key, const char *file,
                     struct oci_spec *ret, struct error *err)
{
        int64_t value;
        int found = spec_signed(object, key, INT64_MIN, INT64_MAX, &value, err);

        if (found <= 0)
                return found;
        if (value < 0)
                return add(ret, err, "%s=max", file);
        return value == 0 && strcmp(file, "pids.max") == 0
                       ? add(ret, err, "pids.max=max")
                       : add(ret, err, "%s=%" PRId64, file, value);
}

static int parse_memory(const struct json_node *object, struct oci_spec *ret, struct error *err)
{
        int64_t limit = -1, swap = -1;
        int has_swap;

        if (spec_signed(object, "limit", INT64_MIN, INT64_MAX, &limit, err) < 0 ||
            add_limit(object, "limit", "memory.max", ret, err) < 0 ||
            add_limit(object, "reservation", "memory.low", ret, err) < 0)
                return -1;
        has_swap = spec_signed(object, "swap", INT64_MIN, INT64_MAX, &swap, err);
        if (has_swap <= 0)
                return has_swap;
        if (swap < 0)
                return add(ret, err, "memory.swap.max=max");
        /* In config.json, as in cgroup v1, swap is memory and swap together. */
        return add(ret, err, "memory.swap.max=%" PRId64, limit > 0 && swap > limit ? swap - limit
                                                                                   : 0);
}

static int parse_cpu(const struct json_node *object, struct oci_spec *ret, struct error *err)
{
        auto_free char *cpus = NULL, *mems = NULL;
        uint64_t shares = 0, period = 100000;
        int64_t quota = 0;
        int has_shares, has_quota;

        has_shares = spec_unsigned(object, "shares", 262144, &shares, err);
        has_quota = spec_signed(object, "quota", INT64_MIN, INT64_MAX, &quota, err);
        if (has_shares < 0 || has_quota < 0 ||
            spec_unsigned(object, "period", UINT32_MAX, &period, err) < 0 ||
            spec_text(object, "cpus", &cpus, err) < 0 || spec_text(object, "mems", &mems, err) < 0)
                return -1;
        /* The conversion of 2…262144 to 1…10000 that runtimes agreed on. */
        if (shares >= 2 &&
            add(ret, err, "cpu.weight=%" PRIu64, 1 + (shares - 2) * 9999 / 262142) < 0)
                return -1;
        if (quota > 0 ? add(ret, err, "cpu.max=%" PRId64 " %" PRIu64, quota, period) < 0
                      : has_quota && add(ret, err, "cpu.max=max %" PRIu64, period) < 0)
                return -1;
        if (cpus && *cpus && add(ret, err, "cpuset.cpus=%s", cpus) < 0)
                return -1;
        return mems && *mems ? add(ret, err, "cpuset.mems=%s", mems) : 0;
}

/* Files by their names, which must not lead elsewhere. */
static int parse_unified(const struct json_node *object, struct oci_spec *ret, struct error *err)
{
        auto_strlist struct strlist keys = STRLIST_INIT;

        if (json_node_keys(object, &keys, err) < 0)
                return -1;
        for (size_t i = 0; i < keys.count; i++) {
                const char *value = NULL;

                if (json_node_text(object, keys.items[i], &value, err) < 0)
                        return -1;
                if (strchr(keys.items[i], '/') || strchr(keys.items[i], '='))
                        return error_set(err, EINVAL, "unified: \"%.100s\"", keys.items[i]);
                if (add(ret, err, "%s=%s", keys.items[i], value ? value : "") < 0)
                        return -1;
        }
        return 0;
}

/* A list that is empty asks for nothing. */
static bool asks(const struct json_node *resources, const char *key)
{
        const struct json_node *array;
        struct error ignored = ERROR_INIT;

        if (!json_node_has(resources, key))
                return false;
        return json_node_member(resources, key, JSON_NODE_ARRAY, &array, &ignored) < 0 ||
               json_node_count(array) > 0;
}

int spec_parse_resources(const struct json_node *resources, struct oci_spec *ret,
                         struct error *err)
{
        static const char *const beyond[] = { "blockIO", "hugepageLimits", "network", "rdma" };
        const struct json_node *memory, *cpu, *pids, *unified;

        if (spec_object(resources, "memory", &memory, err) < 0 ||
            spec_object(resources, "cpu", &cpu, err) < 0 ||
            spec_object(resources, "pids", &pids, err) < 0 ||
            spec_object(resources, "unified", &unified, err) < 0)
                return -1;
        if (parse_memory(memory, ret, err) < 0 || parse_cpu(cpu, ret, err) < 0 ||
            add_limit(pids, "limit", "pids.max", ret, err) < 0 ||
            parse_unified(unified, ret, err) < 0)
                return -1;
        for (size_t i = 0; i < ARRAY_SIZE(beyond); i++)
                if (asks(resources, beyond[i]) && strlist_append(&ret->ignored, beyond[i]) < 0)
                        return error_no_memory(err);
        return 0;
}
