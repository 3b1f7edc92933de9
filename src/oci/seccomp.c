/*
 * linux.seccomp of config.json as a filter, by libseccomp. It is compiled before the
 * container's process is made: the library is not there any more once that has its root.
 */
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <seccomp.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "oci/filter_words.h"
#include "util/dynlib.h"
#include "util/io.h"

#ifndef SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV
#define SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV (1UL << 5) /* Linux 5.19 */
#endif

#define ARCH_PREFIX  "SCMP_ARCH_"
#define ARG_COUNT    6u /* arguments of a system call */
#define RULES_LIMIT  65536u

static struct {
        scmp_filter_ctx (*init)(uint32_t);
        void (*release)(scmp_filter_ctx);
        int (*attr_set)(scmp_filter_ctx, enum scmp_filter_attr, uint32_t);
        uint32_t (*arch_resolve_name)(const char *);
        int (*arch_add)(scmp_filter_ctx, uint32_t);
        int (*syscall_resolve_name)(const char *);
        int (*rule_add_array)(scmp_filter_ctx, uint32_t, int, unsigned int,
                              const struct scmp_arg_cmp *);
        int (*export_bpf)(scmp_filter_ctx, int);
} lib;

static int load(struct error *err)
{
        static const struct dynlib_symbol symbols[] = {
                { "seccomp_init", (void **)&lib.init },
                { "seccomp_release", (void **)&lib.release },
                { "seccomp_attr_set", (void **)&lib.attr_set },
                { "seccomp_arch_resolve_name", (void **)&lib.arch_resolve_name },
                { "seccomp_arch_add", (void **)&lib.arch_add },
                { "seccomp_syscall_resolve_name", (void **)&lib.syscall_resolve_name },
                { "seccomp_rule_add_array", (void **)&lib.rule_add_array },
                { "seccomp_export_bpf", (void **)&lib.export_bpf },
        };

        return dynlib_load("libseccomp.so.2", "libseccomp2", symbols, ARRAY_SIZE(symbols), err);
}

static void release_context(scmp_filter_ctx *context)
{
        if (*context)
                lib.release(*context);
}

void oci_filter_release(struct oci_filter *filter)
{
        free(filter->instructions);
        free(filter->listener_path);
        free(filter->listener_metadata);
        *filter = (struct oci_filter)OCI_FILTER_INIT;
}

/* ---- words ---- */

const struct spec_word oci_seccomp_actions[OCI_SECCOMP_ACTIONS] = {
        { "SCMP_ACT_ALLOW", SCMP_ACT_ALLOW },
        { "SCMP_ACT_ERRNO", SCMP_ACT_ERRNO(0) },
        { "SCMP_ACT_KILL", SCMP_ACT_KILL },
        { "SCMP_ACT_KILL_PROCESS", SCMP_ACT_KILL_PROCESS },
        { "SCMP_ACT_KILL_THREAD", SCMP_ACT_KILL_THREAD },
        { "SCMP_ACT_LOG", SCMP_ACT_LOG },
        { "SCMP_ACT_NOTIFY", SCMP_ACT_NOTIFY },
        { "SCMP_ACT_TRACE", SCMP_ACT_TRACE(0) },
        { "SCMP_ACT_TRAP", SCMP_ACT_TRAP },
};

const struct spec_word oci_seccomp_operators[OCI_SECCOMP_OPERATORS] = {
        { "SCMP_CMP_EQ", SCMP_CMP_EQ }, { "SCMP_CMP_GE", SCMP_CMP_GE },
        { "SCMP_CMP_GT", SCMP_CMP_GT }, { "SCMP_CMP_LE", SCMP_CMP_LE },
        { "SCMP_CMP_LT", SCMP_CMP_LT }, { "SCMP_CMP_MASKED_EQ", SCMP_CMP_MASKED_EQ },
        { "SCMP_CMP_NE", SCMP_CMP_NE },
};

const struct spec_word oci_seccomp_flags[OCI_SECCOMP_FLAGS] = {
        { "SECCOMP_FILTER_FLAG_LOG", SECCOMP_FILTER_FLAG_LOG },
        { "SECCOMP_FILTER_FLAG_SPEC_ALLOW", SECCOMP_FILTER_FLAG_SPEC_ALLOW },
        { "SECCOMP_FILTER_FLAG_TSYNC", SECCOMP_FILTER_FLAG_TSYNC },
        { "SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV", SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV },
};

static int parse_action(const struct json_node *object, const char *key, const char *code_key,
                        uint32_t *ret, struct error *err)
{
        uint64_t action, code = EPERM;

        if (spec_parse_word(object, key, oci_seccomp_actions, OCI_SECCOMP_ACTIONS, &action, err) <
                    0 ||
            spec_unsigned(object, code_key, UINT16_MAX, &code, err) < 0)
                return -1;
        *ret = (uint32_t)action;
        if (action == SCMP_ACT_ERRNO(0) || action == SCMP_ACT_TRACE(0))
                *ret |= (uint32_t)code;
        return 0;
}

static int parse_comparison(const struct json_node *object, struct scmp_arg_cmp *ret,
                            struct error *err)
{
        uint64_t op, index = 0;

        *ret = (struct scmp_arg_cmp){ .arg = 0 };
        if (spec_parse_word(object, "op", oci_seccomp_operators, OCI_SECCOMP_OPERATORS, &op, err) <
                    0 ||
            spec_unsigned(object, "index", ARG_COUNT - 1, &index, err) < 0 ||
            spec_unsigned(object, "value", UINT64_MAX, &ret->datum_a, err) < 0 ||
            spec_unsigned(object, "valueTwo", UINT64_MAX, &ret->datum_b, err) < 0)
                return -1;
        ret->op = (enum scmp_compare)op;
        ret->arg = (unsigned int)index;
        return 0;
}

/* ---- rules ---- */

struct rule {
        uint32_t action;
        struct scmp_arg_cmp comparisons[ARG_COUNT];
        unsigned int count;
        bool repeats; /* an argument is compared twice, which libseccomp takes as "or" only */
};

static int add_system_call(scmp_filter_ctx context, int number, const struct rule *rule)
{
        if (!rule->repeats)
                return lib.rule_add_array(context, rule->action, number, rule->count,
                                          rule->comparisons);
        for (unsigned int i = 0; i < rule->count; i++) {
                int result =
                        lib.rule_add_array(context, rule->action, number, 1, &rule->comparisons[i]);

                if (result < 0)
                        return result;
        }
        return 0;
}

static int parse_comparisons(const struct json_node *object, struct rule *rule, struct error *err)
{
        const struct json_node *array;
        unsigned int seen = 0;

        if (spec_array(object, "args", &array, err) < 0)
                return -1;
        for (size_t i = 0; i < json_node_count(array); i++) {
                struct scmp_arg_cmp *comparison = &rule->comparisons[rule->count];

                if (i == ARG_COUNT)
                        return error_set(err, E2BIG, "\"args\" has more than %u items", ARG_COUNT);
                if (parse_comparison(json_node_at(array, i), comparison, err) < 0)
                        return error_prefix(err, "args");
                rule->repeats |= seen >> comparison->arg & 1;
                seen |= 1u << comparison->arg;
                rule->count++;
        }
        return 0;
}

static int add_rule(scmp_filter_ctx context, const struct json_node *object,
                    uint32_t default_action, struct oci_filter *filter, size_t *total,
                    struct error *err)
{
        auto_strlist struct strlist names = STRLIST_INIT;
        struct rule rule = { .count = 0 };

        if (spec_strings(object, "names", &names, err) < 0 ||
            parse_action(object, "action", "errnoRet", &rule.action, err) < 0 ||
            parse_comparisons(object, &rule, err) < 0)
                return -1;
        if (rule.action == SCMP_ACT_NOTIFY && strlist_contains(&names, "sendmsg"))
                return error_set(err, EINVAL, "SCMP_ACT_NOTIFY for sendmsg, which hands the "
                                              "agent its descriptor, would wait for ever");
        filter->notifies |= rule.action == SCMP_ACT_NOTIFY;
        /* libseccomp refuses rules that say what holds without them. */
        if (rule.action == default_action)
                return 0;
        for (size_t i = 0; i < names.count; i++) {
                int number = lib.syscall_resolve_name(names.items[i]), result;

                /* Lists have calls of newer kernels and other machines. */
                if (number == __NR_SCMP_ERROR)
                        continue;
                if (++*total > RULES_LIMIT)
                        return error_set(err, E2BIG, "more than %u rules", RULES_LIMIT);
                result = add_system_call(context, number, &rule);
                if (result < 0 && result != -EEXIST)
                        return error_set(err, -result, "%.50s: %s", names.items[i],
                                         strerror(-result));
        }
        return 0;
}

static int add_architectures(scmp_filter_ctx context, const struct json_node *seccomp,
                             struct error *err)
{
        auto_strlist struct strlist names = STRLIST_INIT;

        if (spec_strings(seccomp, "architectures", &names, err) < 0)
                return -1;
        for (size_t i = 0; i < names.count; i++) {
                char *name = names.items[i];
                uint32_t arch = 0;
                int result;

                if (strncmp(name, ARCH_PREFIX, strlen(ARCH_PREFIX)) == 0) {
                        name += strlen(ARCH_PREFIX);
                        for (char *c = name; *c; c++)
                                *c = (char)(*c >= 'A' && *c <= 'Z' ? *c - 'A' + 'a' : *c);
                        arch = lib.arch_resolve_name(name);
                }
                if (arch == 0)
                        return error_set(err, EINVAL, "architectures: \"%.50s\"", names.items[i]);
                result = lib.arch_add(context, arch);
                if (result < 0 && result != -EEXIST)
                        return error_set(err, -result, "architectures: %s: %s", names.items[i],
                                         strerror(-result));
        }
        return 0;
}

/* What a notification needs, and what it must not hold up: the sending of its descriptor. */
static int parse_listener(const struct json_node *seccomp, struct oci_filter *ret,
                          struct error *err)
{
        uint64_t flags = 0;

        if (spec_parse_flags(seccomp, "flags", oci_seccomp_flags, OCI_SECCOMP_FLAGS, &flags, err) <
                    0 ||
            spec_label(seccomp, "listenerPath", &ret->listener_path, err) < 0 ||
            spec_label(seccomp, "listenerMetadata", &ret->listener_metadata, err) < 0)
                return -1;
        if (ret->notifies && !ret->listener_path)
                return error_set(err, EINVAL, "SCMP_ACT_NOTIFY needs \"listenerPath\"");
        if (!ret->notifies)
                flags &= ~(uint64_t)SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV;
        else /* seccomp(2): it and a listener exclude each other; there is one thread */
                flags &= ~(uint64_t)SECCOMP_FILTER_FLAG_TSYNC;
        ret->flags = (unsigned int)flags;
        return 0;
}

/* ---- the filter ---- */

static int export(scmp_filter_ctx context, struct oci_filter *ret, struct error *err)
{
        auto_close int fd = memfd_create("seccomp", MFD_CLOEXEC);
        struct stat st;
        int result;

        if (fd < 0)
                return error_errno(err, "memory for the filter");
        result = lib.export_bpf(context, fd);
        if (result < 0)
                return error_set(err, -result, "%s", strerror(-result));
        if (fstat(fd, &st) < 0 || lseek(fd, 0, SEEK_SET) < 0)
                return error_errno(err, "filter");
        if (st.st_size > (off_t)(BPF_MAXINSNS * sizeof(struct sock_filter)))
                return error_set(err, E2BIG, "the filter has more than %d instructions",
                                 BPF_MAXINSNS);
        ret->instructions = malloc((size_t)st.st_size);
        if (!ret->instructions)
                return error_no_memory(err);
        if (io_read_full(fd, ret->instructions, (size_t)st.st_size) != st.st_size)
                return error_errno(err, "filter");
        ret->count = (unsigned short)((size_t)st.st_size / sizeof(struct sock_filter));
        return 0;
}

static int compile(const struct json_node *seccomp, struct oci_filter *ret, struct error *err)
{
        auto_cleanup(release_context) scmp_filter_ctx context = NULL;
        const struct json_node *rules;
        uint32_t default_action;
        size_t total = 0;

        if (parse_action(seccomp, "defaultAction", "defaultErrnoRet", &default_action, err) < 0 ||
            spec_array(seccomp, "syscalls", &rules, err) < 0 || load(err) < 0)
                return -1;
        if (default_action == SCMP_ACT_NOTIFY)
                return error_set(err, EINVAL, "SCMP_ACT_NOTIFY cannot be the default");
        context = lib.init(default_action);
        if (!context)
                return error_set(err, EINVAL, "libseccomp does not take the default action");
        /* no_new_privs is what the configuration says, not what libseccomp would set. */
        (void)lib.attr_set(context, SCMP_FLTATR_CTL_NNP, 0);
        /* A tree: a call costs some comparisons instead of hundreds (libseccomp 2.5). */
        (void)lib.attr_set(context, SCMP_FLTATR_CTL_OPTIMIZE, 2);
        if (add_architectures(context, seccomp, err) < 0)
                return -1;
        for (size_t i = 0; i < json_node_count(rules); i++)
                if (add_rule(context, json_node_at(rules, i), default_action, ret, &total, err) < 0)
                        return error_prefix(err, "syscalls");
        return parse_listener(seccomp, ret, err) < 0 ? -1 : export(context, ret, err);
}

int oci_filter_compile(const struct json_node *seccomp, struct oci_filter *ret, struct error *err)
{
        auto_oci_filter struct oci_filter filter = OCI_FILTER_INIT;

        if (compile(seccomp, &filter, err) < 0)
                return error_prefix(err, "seccomp");
        *ret = TAKE(filter, ((struct oci_filter)OCI_FILTER_INIT));
        return 0;
}
