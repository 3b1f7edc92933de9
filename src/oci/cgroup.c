/* Where the cgroups of a container are: found, made, entered, removed. */
#include "oci/cgroup.h"

#include <errno.h>
#include <linux/magic.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <time.h>

#include "util/io.h"
#include "util/path.h"

#define CGROUP_ROOT  "/sys/fs/cgroup"
#define OWN_LIMIT    (64u << 10) /* bytes of /proc/self/cgroup */
#define REMOVE_TRIES 100         /* of 10 ms: processes that were killed take their time */

/* Controllers of version 1 that have limits or figures of a container. */
static const char *const legacy_controllers[] = { "cpu",  "cpuacct", "cpuset", "memory",
                                                  "pids", "freezer", "blkio",  "hugetlb" };

static bool is_unified(void)
{
        struct statfs st;

        return statfs(CGROUP_ROOT, &st) == 0 && st.f_type == CGROUP2_SUPER_MAGIC;
}

/*
 * Where one goes below the root of a hierarchy: cgroupsPath where it begins with a slash;
 * "SLICE:PREFIX:NAME", which is systemd's form, and a relative one lie below this process's.
 */
static char *choose_path(const char *hierarchy, const char *wanted, const char *id,
                         const char *own)
{
        char *path = NULL;
        int length;

        if (wanted && *wanted == '/' && !strstr(wanted, ".."))
                length = asprintf(&path, "%s%s", hierarchy, wanted);
        else
                length = asprintf(&path, "%s%s/enroot-%s", hierarchy, strcmp(own, "/") ? own : "",
                                  id);
        return length < 0 ? NULL : path;
}

/* Whether a word is in a list with commas. */
static bool has_word(const char *list, const char *word)
{
        size_t length = strlen(word);

        while (*list) {
                size_t size = strcspn(list, ",");

                if (size == length && memcmp(list, word, length) == 0)
                        return true;
                list += size;
                list += *list == ',';
        }
        return false;
}

/* ---- files ---- */

static int write_file(const char *dir, const char *file, const char *value, struct error *err)
{
        auto_free char *path = path_join(dir, file);

        return path ? io_write_file(-1, path, value, err) : error_no_memory(err);
}

static void try_to_write(const char *dir, const char *file, const char *value)
{
        struct error ignored = ERROR_INIT;

        (void)write_file(dir, file, value, &ignored);
}

static int put(const char *dir, pid_t pid, struct error *err)
{
        char number[16];

        (void)snprintf(number, sizeof(number), "%d", pid);
        return write_file(dir, "cgroup.procs", number, err);
}

/* ---- making them ---- */

/* cpusets(7): a new one of version 1 has no CPUs, and takes no process then. */
static void inherit_cpus(const char *parent, const char *dir)
{
        static const char *const files[] = { "cpuset.cpus", "cpuset.mems" };

        for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
                auto_free char *from = path_join(parent, files[i]);
                auto_strbuf struct strbuf text = STRBUF_INIT;
                struct error ignored = ERROR_INIT;

                if (from && io_read_file(-1, from, OWN_LIMIT, &text, &ignored) == 0)
                        try_to_write(dir, files[i], strbuf_text(&text));
        }
}

/* One directory, whose parent gives it the controllers that can be had. 0, or -1 with errno. */
static int make_one(const char *parent, const char *dir, const char *controller)
{
        static const char *const controllers[] = { "+cpu",    "+memory", "+pids",
                                                   "+cpuset", "+io",     "+hugetlb" };

        for (size_t i = 0; !*controller && i < ARRAY_SIZE(controllers); i++)
                try_to_write(parent, "cgroup.subtree_control", controllers[i]);
        if (mkdir(dir, 0755) < 0)
                return errno == EEXIST ? 0 : -1;
        if (strcmp(controller, "cpuset") == 0)
                inherit_cpus(parent, dir);
        return 0;
}

/* Every directory from the root of the hierarchy on. 0, or -1 with errno. */
static int make_path(const char *hierarchy, const char *path, const char *controller)
{
        auto_free char *parent = strdup(path), *dir = strdup(path);
        size_t length = strlen(hierarchy);

        if (!parent || !dir)
                return -1;
        while (path[length]) {
                size_t next = length + 1 + strcspn(path + length + 1, "/");

                (void)snprintf(parent, length + 1, "%s", path);
                (void)snprintf(dir, next + 1, "%s", path);
                if (make_one(parent, dir, controller) < 0)
                        return -1;
                length = next;
        }
        return 0;
}

/* Added to *ret where this user may make it. Returns 0, or -1 with *err. */
static int make_cgroup(const char *hierarchy, const char *path, const char *controller, pid_t pid,
                       struct strlist *ret, struct error *err)
{
        struct error refused = ERROR_INIT;

        if (make_path(hierarchy, path, controller) < 0)
                return 0;
        if (put(path, pid, &refused) < 0) {
                (void)rmdir(path);
                return 0;
        }
        if (strlist_append(ret, controller) < 0 || strlist_append(ret, path) < 0)
                return error_no_memory(err);
        return 0;
}

/* A line of /proc/self/cgroup, "4:cpu,cpuacct:/user" (cgroups(7)), without its end. */
static int make_of_line(char *line, const struct oci_spec *spec, const char *id, pid_t pid,
                        struct strlist *ret, struct error *err)
{
        char *names = strchr(line, ':'), *own = names ? strchr(names + 1, ':') : NULL;
        auto_free char *hierarchy = NULL, *path = NULL;

        if (!own)
                return 0;
        *names++ = *own++ = '\0';
        /* Of a mix of both versions, the second one has no controllers; "/..": not to be seen. */
        if (is_unified() != !*names || strncmp(own, "/..", 3) == 0)
                return 0;
        hierarchy = *names ? path_join(CGROUP_ROOT, names) : strdup(CGROUP_ROOT);
        path = hierarchy ? choose_path(hierarchy, spec->cgroup, id, own) : NULL;
        if (!path)
                return error_no_memory(err);
        if (!*names)
                return make_cgroup(hierarchy, path, "", pid, ret, err);
        for (size_t i = 0; i < ARRAY_SIZE(legacy_controllers); i++)
                if (has_word(names, legacy_controllers[i]) &&
                    make_cgroup(hierarchy, path, legacy_controllers[i], pid, ret, err) < 0)
                        return -1;
        return 0;
}

static int make_all(const struct oci_spec *spec, const char *id, pid_t pid, struct strlist *ret,
                    struct error *err)
{
        auto_strbuf struct strbuf text = STRBUF_INIT;
        char *rest = NULL;

        if (io_read_file(-1, "/proc/self/cgroup", OWN_LIMIT, &text, err) < 0)
                return -1;
        for (char *line = strtok_r(text.data, "\n", &rest); line;
             line = strtok_r(NULL, "\n", &rest))
                if (make_of_line(line, spec, id, pid, ret, err) < 0)
                        return -1;
        return 0;
}

int cgroups_make(const struct oci_spec *spec, const char *id, pid_t pid, struct report *report,
                 struct strlist *ret, struct error *err)
{
        if (make_all(spec, id, pid, ret, err) < 0)
                return -1;
        if (ret->count > 0)
                return cgroups_set(ret, &spec->resources, report, err);
        if (spec->resources.unified.count > 0)
                report_warn(report, "resources: no limits are set: this user may make no cgroup "
                                    "below " CGROUP_ROOT);
        return 0;
}

/* ---- entering and removing them ---- */

static int join_sub(const struct strlist *cgroups, const char *sub, pid_t pid, struct error *err)
{
        const char *colon = strchr(sub, ':');
        auto_free char *controller = colon ? strndup(sub, (size_t)(colon - sub)) : strdup("");
        const char *path = colon ? colon + 1 : sub, *dir;
        auto_free char *below = NULL;

        if (!controller)
                return error_no_memory(err);
        dir = cgroups_find(cgroups, controller);
        if (!dir || strstr(path, ".."))
                return error_set(err, EINVAL, "--cgroup %.200s: the container has no such cgroup",
                                 sub);
        below = path_join(dir, path + strspn(path, "/"));
        if (!below)
                return error_no_memory(err);
        return put(below, pid, err) < 0 ? error_prefix(err, "--cgroup %.200s", sub) : 0;
}

int cgroups_join(const struct strlist *cgroups, const char *sub, pid_t pid, struct error *err)
{
        struct error ignored = ERROR_INIT;

        for (size_t i = 1; i < cgroups->count; i += 2)
                (void)put(cgroups->items[i], pid, &ignored);
        return sub ? join_sub(cgroups, sub, pid, err) : 0;
}

void cgroups_remove(const struct strlist *cgroups)
{
        const struct timespec pause = { .tv_nsec = 10000000 };

        for (size_t i = 1; i < cgroups->count; i += 2) {
                const char *dir = cgroups->items[i];

                /* Linux 5.14; before, and in version 1, whoever is left keeps the directory. */
                if (!*cgroups->items[i - 1])
                        try_to_write(dir, "cgroup.kill", "1");
                for (int try = 0; try < REMOVE_TRIES && rmdir(dir) < 0 && errno == EBUSY; try++)
                        (void)nanosleep(&pause, NULL);
        }
}
