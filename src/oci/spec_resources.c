/*
 * linux.resources of config.json as files of cgroups, version 2 and version 1. Where the two
 * count differently, the conversion is the one that runtimes agreed on; what one of them
 * lacks has no file there.
 */
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "oci/spec.h"

#define PERIOD_DEFAULT 100000u /* microseconds: cgroup-v2.rst, "cpu.max" */

void oci_resources_release(struct oci_resources *resources)
{
        strlist_release(&resources->unified);
        strlist_release(&resources->legacy);
}

static int add(struct strlist *settings, struct error *err, const char *fmt, ...)
        __attribute__((format(printf, 3, 4)));

static int add(struct strlist *settings, struct error *err, const char *fmt, ...)
{
        va_list arguments;
        char *setting;
        int length;

        va_start(arguments, fmt);
        length = vasprintf(&setting, fmt, arguments);
        va_end(arguments);
        if (length < 0 || strlist_append_owned(settings, setting) < 0)
                return error_no_memory(err);
        return 0;
}

/* ---- numbers that go into a file as they are ---- */

static const struct limit {
        const char *section, *key;
        const char *unified, *legacy; /* files; NULL: that version has none */
        const char *unlimited;        /* what a negative number is in version 1 */
        enum { ZERO_COUNTS, ZERO_IS_NOTHING, ZERO_IS_UNLIMITED } zero;
} limits[] = {
        { "memory", "limit", "memory.max", "memory.limit_in_bytes", "-1", ZERO_IS_NOTHING },
        { "memory", "reservation", "memory.low", "memory.soft_limit_in_bytes", "-1",
          ZERO_IS_NOTHING },
        { "memory", "swappiness", NULL, "memory.swappiness", "-1", ZERO_COUNTS },
        { "pids", "limit", "pids.max", "pids.max", "max", ZERO_IS_UNLIMITED },
        { "cpu", "idle", "cpu.idle", "cpu.idle", "0", ZERO_COUNTS },
        { "cpu", "burst", "cpu.max.burst", "cpu.cfs_burst_us", "0", ZERO_COUNTS },
        { "cpu", "realtimePeriod", NULL, "cpu.rt_period_us", "-1", ZERO_IS_NOTHING },
        { "cpu", "realtimeRuntime", NULL, "cpu.rt_runtime_us", "-1", ZERO_IS_NOTHING },
};

static int parse_limit(const struct json_node *resources, const struct limit *limit,
                       struct oci_resources *ret, struct error *err)
{
        const struct json_node *section;
        int64_t value;
        int found;

        if (spec_object(resources, limit->section, &section, err) < 0)
                return -1;
        found = spec_signed(section, limit->key, INT64_MIN, INT64_MAX, &value, err);
        if (found <= 0)
                return found;
        if (value == 0 && limit->zero == ZERO_IS_NOTHING)
                return 0;
        if (value < 0 || (value == 0 && limit->zero == ZERO_IS_UNLIMITED)) {
                if (limit->unified && add(&ret->unified, err, "%s=max", limit->unified) < 0)
                        return -1;
                return limit->legacy
                               ? add(&ret->legacy, err, "%s=%s", limit->legacy, limit->unlimited)
                               : 0;
        }
        if (limit->unified && add(&ret->unified, err, "%s=%" PRId64, limit->unified, value) < 0)
                return -1;
        return limit->legacy ? add(&ret->legacy, err, "%s=%" PRId64, limit->legacy, value) : 0;
}

/* ---- those that are converted ---- */

/* In config.json, as in version 1, swap is memory and swap together. */
static int parse_swap(const struct json_node *resources, struct oci_resources *ret,
                      struct error *err)
{
        const struct json_node *memory;
        int64_t limit = -1, swap = -1;
        int found;

        if (spec_object(resources, "memory", &memory, err) < 0 ||
            spec_signed(memory, "limit", INT64_MIN, INT64_MAX, &limit, err) < 0)
                return -1;
        found = spec_signed(memory, "swap", INT64_MIN, INT64_MAX, &swap, err);
        if (found <= 0 || swap == 0)
                return found < 0 ? -1 : 0;
        if (add(&ret->legacy, err, "memory.memsw.limit_in_bytes=%" PRId64, swap < 0 ? -1 : swap) <
            0)
                return -1;
        if (swap < 0)
                return add(&ret->unified, err, "memory.swap.max=max");
        return add(&ret->unified, err, "memory.swap.max=%" PRId64,
                   limit > 0 && swap > limit ? swap - limit : 0);
}

/* 2…262144 of version 1 to 1…10000. */
static int parse_shares(const struct json_node *cpu, struct oci_resources *ret, struct error *err)
{
        uint64_t shares = 0;

        if (spec_unsigned(cpu, "shares", 262144, &shares, err) < 0)
                return -1;
        if (shares < 2)
                return 0;
        if (add(&ret->legacy, err, "cpu.shares=%" PRIu64, shares) < 0)
                return -1;
        return add(&ret->unified, err, "cpu.weight=%" PRIu64, 1 + (shares - 2) * 9999 / 262142);
}

static int parse_quota(const struct json_node *cpu, struct oci_resources *ret, struct error *err)
{
        uint64_t period = 0;
        int64_t quota = 0;

        if (spec_signed(cpu, "quota", INT64_MIN, INT64_MAX, &quota, err) < 0 ||
            spec_unsigned(cpu, "period", UINT32_MAX, &period, err) < 0)
                return -1;
        if (period > 0 && add(&ret->legacy, err, "cpu.cfs_period_us=%" PRIu64, period) < 0)
                return -1;
        if (quota != 0 &&
            add(&ret->legacy, err, "cpu.cfs_quota_us=%" PRId64, quota < 0 ? -1 : quota) < 0)
                return -1;
        if (quota > 0)
                return add(&ret->unified, err, "cpu.max=%" PRId64 " %" PRIu64, quota,
                           period > 0 ? period : PERIOD_DEFAULT);
        if (quota == 0 && period == 0)
                return 0;
        return add(&ret->unified, err, "cpu.max=max %" PRIu64,
                   period > 0 ? period : PERIOD_DEFAULT);
}

/* A file of both versions with a list of numbers. */
static int parse_set(const struct json_node *cpu, const char *key, struct oci_resources *ret,
                     struct error *err)
{
        auto_free char *set = NULL;

        if (spec_text(cpu, key, &set, err) < 0)
                return -1;
        if (!set || !*set)
                return 0;
        if (add(&ret->unified, err, "cpuset.%s=%s", key, set) < 0)
                return -1;
        return add(&ret->legacy, err, "cpuset.%s=%s", key, set);
}

/* 10…1000 of version 1 to 1…10000. */
static int parse_block(const struct json_node *block, struct oci_resources *ret, struct error *err)
{
        uint64_t weight = 0;

        if (spec_unsigned(block, "weight", 1000, &weight, err) < 0)
                return -1;
        if (weight < 10)
                return 0;
        if (add(&ret->legacy, err, "blkio.weight=%" PRIu64, weight) < 0)
                return -1;
        return add(&ret->unified, err, "io.weight=%" PRIu64, 1 + (weight - 10) * 9999 / 990);
}

static int parse_huge_pages(const struct json_node *resources, struct oci_resources *ret,
                            struct error *err)
{
        const struct json_node *array;

        if (spec_array(resources, "hugepageLimits", &array, err) < 0)
                return -1;
        for (size_t i = 0; i < json_node_count(array); i++) {
                const struct json_node *object = json_node_at(array, i);
                const char *size = NULL;
                uint64_t limit = 0;

                if (json_node_text(object, "pageSize", &size, err) < 0 ||
                    spec_unsigned(object, "limit", UINT64_MAX, &limit, err) < 0)
                        return error_prefix(err, "hugepageLimits");
                if (!size || strspn(size, "0123456789KMGB") != strlen(size))
                        return error_set(err, EINVAL, "hugepageLimits: pageSize \"%.20s\"",
                                         size ? size : "");
                if (add(&ret->unified, err, "hugetlb.%s.max=%" PRIu64, size, limit) < 0 ||
                    add(&ret->legacy, err, "hugetlb.%s.limit_in_bytes=%" PRIu64, size, limit) < 0)
                        return -1;
        }
        return 0;
}

/* Files of version 2 by their names, which must not lead elsewhere. */
static int parse_unified(const struct json_node *resources, struct oci_resources *ret,
                         struct error *err)
{
        auto_strlist struct strlist pairs = STRLIST_INIT;

        if (spec_pairs(resources, "unified", &pairs, err) < 0)
                return -1;
        for (size_t i = 0; i + 1 < pairs.count; i += 2) {
                const char *file = pairs.items[i];

                if (strchr(file, '/') || strchr(file, '='))
                        return error_set(err, EINVAL, "unified: \"%.100s\"", file);
                if (add(&ret->unified, err, "%s=%s", file, pairs.items[i + 1]) < 0)
                        return -1;
        }
        return 0;
}

/* ---- all of them ---- */

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

int spec_parse_resources(const struct json_node *resources, struct oci_resources *ret,
                         struct strlist *ignored, struct error *err)
{
        static const char *const beyond[] = { "network", "rdma" };
        const struct json_node *cpu, *block;

        for (size_t i = 0; i < ARRAY_SIZE(limits); i++)
                if (parse_limit(resources, &limits[i], ret, err) < 0)
                        return -1;
        if (spec_object(resources, "cpu", &cpu, err) < 0 ||
            spec_object(resources, "blockIO", &block, err) < 0 ||
            parse_swap(resources, ret, err) < 0 || parse_shares(cpu, ret, err) < 0 ||
            parse_quota(cpu, ret, err) < 0 || parse_set(cpu, "cpus", ret, err) < 0 ||
            parse_set(cpu, "mems", ret, err) < 0 || parse_block(block, ret, err) < 0 ||
            parse_huge_pages(resources, ret, err) < 0 || parse_unified(resources, ret, err) < 0)
                return -1;
        for (size_t i = 0; i < ARRAY_SIZE(beyond); i++)
                if (asks(resources, beyond[i]) && strlist_append(ignored, beyond[i]) < 0)
                        return error_no_memory(err);
        return 0;
}

int oci_resources_parse(const char *text, size_t length, struct oci_resources *ret,
                        struct error *err)
{
        auto_json_node struct json_node *root = json_node_parse_wide(text, length, err);
        auto_strlist struct strlist ignored = STRLIST_INIT;

        if (!root || spec_parse_resources(root, ret, &ignored, err) < 0)
                return -1;
        if (ignored.count > 0)
                return error_set(err, EOPNOTSUPP, "%s is not supported", ignored.items[0]);
        return 0;
}
