/* scheduler, ioPriority and execCPUAffinity of process, and personality of linux. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "oci/spec.h"

/* The value of a word, which the kernel's headers give. Returns 0, or -1 with *err. */
static int find_word(const struct spec_word *words, size_t count, const char *key,
                     const char *word, uint64_t *ret, struct error *err)
{
        for (size_t i = 0; word && i < count; i++)
                if (strcmp(words[i].name, word) == 0) {
                        *ret = words[i].value;
                        return 0;
                }
        return error_set(err, EINVAL, "\"%s\": \"%.50s\" is not supported", key, word ? word : "");
}

int spec_parse_word(const struct json_node *object, const char *key, const struct spec_word *words,
                    size_t count, uint64_t *ret, struct error *err)
{
        const char *word = NULL;

        if (json_node_text(object, key, &word, err) < 0)
                return -1;
        return find_word(words, count, key, word, ret, err);
}

int spec_parse_flags(const struct json_node *object, const char *key, const struct spec_word *words,
                     size_t count, uint64_t *ret, struct error *err)
{
        auto_strlist struct strlist names = STRLIST_INIT;

        if (spec_strings(object, key, &names, err) < 0)
                return -1;
        for (size_t i = 0; i < names.count; i++) {
                uint64_t flag = 0;

                if (find_word(words, count, key, names.items[i], &flag, err) < 0)
                        return -1;
                *ret |= flag;
        }
        return 0;
}

/* sched_setattr(2) */
static int parse_scheduler(const struct json_node *process, struct oci_scheduler *ret,
                           struct error *err)
{
        static const struct spec_word policies[] = {
                { "SCHED_OTHER", 0 }, { "SCHED_FIFO", 1 }, { "SCHED_RR", 2 },
                { "SCHED_BATCH", 3 }, { "SCHED_ISO", 4 },  { "SCHED_IDLE", 5 },
                { "SCHED_DEADLINE", 6 },
        };
        static const struct spec_word flags[] = {
                { "SCHED_FLAG_RESET_ON_FORK", 0x01 },  { "SCHED_FLAG_RECLAIM", 0x02 },
                { "SCHED_FLAG_DL_OVERRUN", 0x04 },     { "SCHED_FLAG_KEEP_POLICY", 0x08 },
                { "SCHED_FLAG_KEEP_PARAMS", 0x10 },    { "SCHED_FLAG_UTIL_CLAMP_MIN", 0x20 },
                { "SCHED_FLAG_UTIL_CLAMP_MAX", 0x40 },
        };
        const struct json_node *object;
        uint64_t policy = 0, priority = 0;
        int64_t nice = 0;

        if (spec_object(process, "scheduler", &object, err) < 0)
                return -1;
        if (!object)
                return 0;
        if (spec_parse_word(object, "policy", policies, ARRAY_SIZE(policies), &policy, err) < 0 ||
            spec_parse_flags(object, "flags", flags, ARRAY_SIZE(flags), &ret->flags, err) < 0 ||
            spec_signed(object, "nice", -20, 19, &nice, err) < 0 ||
            spec_unsigned(object, "priority", 99, &priority, err) < 0 ||
            spec_unsigned(object, "runtime", UINT64_MAX, &ret->runtime, err) < 0 ||
            spec_unsigned(object, "deadline", UINT64_MAX, &ret->deadline, err) < 0 ||
            spec_unsigned(object, "period", UINT64_MAX, &ret->period, err) < 0)
                return error_prefix(err, "scheduler");
        ret->policy = (uint32_t)policy;
        ret->priority = (uint32_t)priority;
        ret->nice = (int32_t)nice;
        ret->given = true;
        return 0;
}

/* ioprio_set(2): the class above 13 bits of priority. */
static int parse_io_priority(const struct json_node *process, struct oci_process *ret,
                             struct error *err)
{
        static const struct spec_word classes[] = {
                { "IOPRIO_CLASS_RT", 1 }, { "IOPRIO_CLASS_BE", 2 }, { "IOPRIO_CLASS_IDLE", 3 },
        };
        const struct json_node *object;
        uint64_t class = 0, priority = 0;

        if (spec_object(process, "ioPriority", &object, err) < 0)
                return -1;
        if (!object)
                return 0;
        if (spec_parse_word(object, "class", classes, ARRAY_SIZE(classes), &class, err) < 0 ||
            spec_unsigned(object, "priority", 7, &priority, err) < 0)
                return error_prefix(err, "ioPriority");
        ret->io_priority = (int)(class << 13 | priority);
        return 0;
}

/* "0-3,7" */
static int parse_cpus(const struct json_node *object, const char *key, struct oci_cpus *ret,
                      struct error *err)
{
        const char *text = NULL, *at;

        if (json_node_text(object, key, &text, err) < 0)
                return -1;
        if (!text || !*text)
                return 0;
        CPU_ZERO(&ret->set);
        for (at = text;;) {
                char *end;
                unsigned long first = strtoul(at, &end, 10), last = first;

                if (end > at && *end == '-') {
                        at = end + 1;
                        last = strtoul(at, &end, 10);
                }
                if (end == at || last < first || last >= CPU_SETSIZE || (*end && *end != ','))
                        return error_set(err, EINVAL, "\"%s\": \"%.100s\" is no list of CPUs", key,
                                         text);
                for (unsigned long cpu = first; cpu <= last; cpu++)
                        CPU_SET(cpu, &ret->set);
                if (!*end)
                        break;
                at = end + 1;
        }
        ret->given = true;
        return 0;
}

static int parse_affinity(const struct json_node *process, struct oci_process *ret,
                          struct error *err)
{
        const struct json_node *object;

        if (spec_object(process, "execCPUAffinity", &object, err) < 0)
                return -1;
        if (parse_cpus(object, "initial", &ret->initial_cpus, err) < 0 ||
            parse_cpus(object, "final", &ret->final_cpus, err) < 0)
                return error_prefix(err, "execCPUAffinity");
        return 0;
}

int spec_parse_schedule(const struct json_node *process, struct oci_process *ret,
                        struct error *err)
{
        if (parse_scheduler(process, &ret->scheduler, err) < 0 ||
            parse_io_priority(process, ret, err) < 0)
                return -1;
        return parse_affinity(process, ret, err);
}

/* personality(2), of which the specification has two domains and, so far, no flags. */
int spec_parse_personality(const struct json_node *linux_, struct oci_spec *ret, struct error *err)
{
        static const struct spec_word domains[] = { { "LINUX", 0 }, { "LINUX32", 8 } };
        const struct json_node *object, *flags;

        if (spec_object(linux_, "personality", &object, err) < 0)
                return -1;
        if (!object)
                return 0;
        if (spec_parse_word(object, "domain", domains, ARRAY_SIZE(domains), &ret->personality,
                            err) < 0 ||
            spec_array(object, "flags", &flags, err) < 0)
                return error_prefix(err, "personality");
        if (json_node_count(flags) > 0)
                return error_set(err, EINVAL, "personality: no \"flags\" are known");
        ret->has_personality = true;
        return 0;
}
