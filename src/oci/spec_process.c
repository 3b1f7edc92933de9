/* process of config.json. */
#include <errno.h>
#include <limits.h>
#include <string.h>

#include "oci/spec.h"

static int parse_user(const struct json_node *object, struct oci_process *ret, struct error *err)
{
        const struct json_node *user, *groups;
        uint64_t uid = 0, gid = 0, mask = 0;
        int has_umask;

        if (spec_object(object, "user", &user, err) < 0 ||
            spec_unsigned(user, "uid", UINT32_MAX - 1, &uid, err) < 0 ||
            spec_unsigned(user, "gid", UINT32_MAX - 1, &gid, err) < 0 ||
            spec_array(user, "additionalGids", &groups, err) < 0)
                return -1;
        has_umask = spec_unsigned(user, "umask", 0777, &mask, err);
        if (has_umask < 0)
                return -1;
        ret->uid = (uid_t)uid;
        ret->gid = (gid_t)gid;
        ret->umask = (mode_t)mask;
        ret->has_umask = has_umask > 0;
        ret->groups = calloc(json_node_count(groups) + 1, sizeof(*ret->groups));
        if (!ret->groups)
                return error_no_memory(err);
        for (size_t i = 0; i < json_node_count(groups); i++) {
                double number;

                if (!json_node_number(json_node_at(groups, i), &number) || number < 0 ||
                    number >= UINT32_MAX)
                        return error_set(err, EINVAL, "an item of \"additionalGids\" is no group");
                ret->groups[ret->group_count++] = (gid_t)number;
        }
        return 0;
}

/* Capabilities that are unknown here cannot be granted; the specification wants a warning. */
static int parse_set(const struct json_node *object, const char *key, uint64_t *ret,
                     struct strlist *ignored, struct error *err)
{
        auto_strlist struct strlist names = STRLIST_INIT;

        if (spec_strings(object, key, &names, err) < 0)
                return -1;
        for (size_t i = 0; i < names.count; i++) {
                int number = oci_capability_number(names.items[i]);

                if (number >= 0)
                        *ret |= UINT64_C(1) << number;
                else if (!strlist_contains(ignored, names.items[i]) &&
                         strlist_append(ignored, names.items[i]) < 0)
                        return error_no_memory(err);
        }
        return 0;
}

static int parse_capabilities(const struct json_node *object, struct oci_process *process,
                              struct error *err)
{
        struct oci_capabilities *ret = &process->capabilities;
        struct strlist *ignored = &process->ignored;
        const struct json_node *sets;

        if (spec_object(object, "capabilities", &sets, err) < 0)
                return -1;
        if (parse_set(sets, "bounding", &ret->bounding, ignored, err) < 0 ||
            parse_set(sets, "effective", &ret->effective, ignored, err) < 0 ||
            parse_set(sets, "inheritable", &ret->inheritable, ignored, err) < 0 ||
            parse_set(sets, "permitted", &ret->permitted, ignored, err) < 0 ||
            parse_set(sets, "ambient", &ret->ambient, ignored, err) < 0)
                return error_prefix(err, "capabilities");
        return 0;
}

static const struct {
        const char *name;
        int resource;
} resources[] = {
        { "RLIMIT_AS", RLIMIT_AS },
        { "RLIMIT_CORE", RLIMIT_CORE },
        { "RLIMIT_CPU", RLIMIT_CPU },
        { "RLIMIT_DATA", RLIMIT_DATA },
        { "RLIMIT_FSIZE", RLIMIT_FSIZE },
        { "RLIMIT_LOCKS", RLIMIT_LOCKS },
        { "RLIMIT_MEMLOCK", RLIMIT_MEMLOCK },
        { "RLIMIT_MSGQUEUE", RLIMIT_MSGQUEUE },
        { "RLIMIT_NICE", RLIMIT_NICE },
        { "RLIMIT_NOFILE", RLIMIT_NOFILE },
        { "RLIMIT_NPROC", RLIMIT_NPROC },
        { "RLIMIT_RSS", RLIMIT_RSS },
        { "RLIMIT_RTPRIO", RLIMIT_RTPRIO },
        { "RLIMIT_RTTIME", RLIMIT_RTTIME },
        { "RLIMIT_SIGPENDING", RLIMIT_SIGPENDING },
        { "RLIMIT_STACK", RLIMIT_STACK },
};

static int parse_rlimit(const struct json_node *object, struct oci_process *ret, struct error *err)
{
        struct oci_rlimit *rlimit = &ret->rlimits[ret->rlimit_count];
        uint64_t soft = 0, hard = 0;
        const char *type = NULL;

        if (json_node_text(object, "type", &type, err) < 0 ||
            spec_unsigned(object, "soft", UINT64_MAX, &soft, err) < 0 ||
            spec_unsigned(object, "hard", UINT64_MAX, &hard, err) < 0)
                return -1;
        rlimit->name = NULL;
        for (size_t i = 0; type && i < ARRAY_SIZE(resources); i++) {
                if (strcmp(resources[i].name, type) != 0)
                        continue;
                rlimit->name = resources[i].name;
                rlimit->resource = resources[i].resource;
        }
        if (!rlimit->name)
                return error_set(err, EINVAL, "\"%.50s\" is no resource limit", type ? type : "");
        for (size_t i = 0; i < ret->rlimit_count; i++)
                if (ret->rlimits[i].resource == rlimit->resource)
                        return error_set(err, EINVAL, "%s is there twice", rlimit->name);
        rlimit->limit.rlim_cur = (rlim_t)soft;
        rlimit->limit.rlim_max = (rlim_t)hard;
        ret->rlimit_count++;
        return 0;
}

static int parse_rlimits(const struct json_node *object, struct oci_process *ret,
                         struct error *err)
{
        const struct json_node *array;

        if (spec_array(object, "rlimits", &array, err) < 0)
                return -1;
        for (size_t i = 0; i < json_node_count(array); i++) {
                /* One each: there is room for all that there are. */
                if (i == RLIM_NLIMITS)
                        return error_set(err, E2BIG, "\"rlimits\" has more items than there are");
                if (parse_rlimit(json_node_at(array, i), ret, err) < 0)
                        return error_prefix(err, "rlimits");
        }
        return 0;
}

static int parse_terminal(const struct json_node *object, struct oci_process *ret,
                          struct error *err)
{
        const struct json_node *size;
        uint64_t rows = 0, columns = 0;

        if (spec_bool(object, "terminal", &ret->terminal, err) < 0 ||
            spec_object(object, "consoleSize", &size, err) < 0 ||
            spec_unsigned(size, "height", USHRT_MAX, &rows, err) < 0 ||
            spec_unsigned(size, "width", USHRT_MAX, &columns, err) < 0)
                return -1;
        ret->rows = (unsigned short)rows;
        ret->columns = (unsigned short)columns;
        return 0;
}

static int parse_oom_score(const struct json_node *object, struct oci_process *ret,
                           struct error *err)
{
        int64_t score = 0;
        int found = spec_signed(object, "oomScoreAdj", -1000, 1000, &score, err);

        ret->oom_score = (int)score;
        ret->has_oom_score = found > 0;
        return found < 0 ? -1 : 0;
}

int spec_parse_process(const struct json_node *object, struct oci_process *ret, struct error *err)
{
        if (parse_terminal(object, ret, err) < 0 || parse_user(object, ret, err) < 0 ||
            spec_strings(object, "args", &ret->args, err) < 0 ||
            spec_strings(object, "env", &ret->env, err) < 0 ||
            spec_text(object, "cwd", &ret->cwd, err) < 0 ||
            spec_bool(object, "noNewPrivileges", &ret->no_new_privileges, err) < 0 ||
            parse_capabilities(object, ret, err) < 0 ||
            parse_rlimits(object, ret, err) < 0 || parse_oom_score(object, ret, err) < 0 ||
            spec_label(object, "apparmorProfile", &ret->apparmor_profile, err) < 0 ||
            spec_label(object, "selinuxLabel", &ret->selinux_label, err) < 0 ||
            spec_parse_schedule(object, ret, err) < 0)
                return -1;
        if (ret->args.count == 0)
                return error_set(err, EINVAL, "\"args\" is missing");
        if (!ret->cwd || *ret->cwd != '/')
                return error_set(err, EINVAL, "\"cwd\" is not an absolute path");
        for (size_t i = 0; i < ret->env.count; i++)
                if (!strchr(ret->env.items[i], '='))
                        return error_set(err, EINVAL, "\"env\": \"%.100s\" is not KEY=VALUE",
                                         ret->env.items[i]);
        return 0;
}
