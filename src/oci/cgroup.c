/*
 * Limits of a container: a cgroup (version 2) where this user may make one, that is below
 * one that was delegated to him. Elsewhere a container runs in the cgroup of its caller,
 * whose limits count, and what was asked for beyond that is reported.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <time.h>

#include "oci/container.h"
#include "util/io.h"
#include "util/path.h"

#define CGROUP_ROOT   "/sys/fs/cgroup"
#define OWN_LIMIT     (64u << 10) /* bytes of /proc/self/cgroup */
#define REMOVE_TRIES  100         /* of 10 ms: processes that were killed take their time */

/* This process's cgroup, "/user.slice/…"; NULL with cgroup v1 or without memory. */
static char *own_cgroup(void)
{
        auto_strbuf struct strbuf text = STRBUF_INIT;
        struct error ignored = ERROR_INIT;
        struct statfs st;
        const char *line;

        if (statfs(CGROUP_ROOT, &st) < 0 || st.f_type != CGROUP2_SUPER_MAGIC ||
            io_read_file(-1, "/proc/self/cgroup", OWN_LIMIT, &text, &ignored) < 0)
                return NULL;
        line = strstr(strbuf_text(&text), "0::/");
        return line ? strndup(line + 3, strcspn(line + 3, "\n")) : NULL;
}

/*
 * Where the container's goes: cgroupsPath, from the root of the hierarchy where it begins
 * with a slash; "SLICE:PREFIX:NAME", which is systemd's form, and a relative one lie below
 * this process's own.
 */
static char *choose_path(const char *wanted, const char *id, const char *own)
{
        char *path = NULL;
        int length;

        if (wanted && *wanted == '/' && !strstr(wanted, ".."))
                length = asprintf(&path, "%s%s", CGROUP_ROOT, wanted);
        else
                length = asprintf(&path, "%s%s/enroot-%s", CGROUP_ROOT, own, id);
        return length < 0 ? NULL : path;
}

static void write_file(const char *dir, const char *file, const char *value)
{
        auto_free char *path = path_join(dir, file);
        struct error ignored = ERROR_INIT;

        if (path)
                (void)io_write_file(-1, path, value, &ignored);
}

/* Every directory from the root on, with the controllers that can be had. 0, or -1 with errno. */
static int make_path(char *path)
{
        static const char *const controllers[] = { "+cpu", "+memory", "+pids", "+cpuset" };

        for (char *slash = path + strlen(CGROUP_ROOT); slash; slash = strchr(slash + 1, '/')) {
                *slash = '\0';
                if (mkdir(path, 0755) < 0 && errno != EEXIST) {
                        *slash = '/';
                        return -1;
                }
                for (size_t i = 0; i < ARRAY_SIZE(controllers); i++)
                        write_file(path, "cgroup.subtree_control", controllers[i]);
                *slash = '/';
        }
        return mkdir(path, 0755) < 0 && errno != EEXIST ? -1 : 0;
}

static int set_limits(const char *path, const struct strlist *resources, struct report *report,
                      struct error *err)
{
        for (size_t i = 0; i < resources->count; i++) {
                const char *setting = resources->items[i], *value = strchr(setting, '=');
                auto_free char *name = strndup(setting, (size_t)(value - setting));
                auto_free char *file = name ? path_join(path, name) : NULL;
                struct error failure = ERROR_INIT;

                if (!file)
                        return error_no_memory(err);
                if (io_write_file(-1, file, value + 1, &failure) < 0)
                        report_warn(report, "resources: %s is not applied: %s", setting,
                                    failure.message);
        }
        return 0;
}

static void put(const char *path, pid_t pid)
{
        char number[16];

        (void)snprintf(number, sizeof(number), "%d", pid);
        write_file(path, "cgroup.procs", number);
}

/* Whether the process is there: the write may have failed for many reasons. */
static bool is_in(const char *path, pid_t pid)
{
        auto_free char *file = path_join(path, "cgroup.procs");
        auto_fclose FILE *procs = file ? fopen(file, "re") : NULL;
        int found;

        while (procs && fscanf(procs, "%d", &found) == 1)
                if (found == pid)
                        return true;
        return false;
}

static void report_missing(const struct oci_spec *spec, const char *why, struct report *report)
{
        if (spec->resources.count > 0)
                report_warn(report, "resources: no limits are set: %s", why);
}

int cgroup_enter(const struct oci_spec *spec, const char *id, pid_t pid, struct report *report,
                 char **ret, struct error *err)
{
        auto_free char *own = own_cgroup(), *path = NULL;

        *ret = NULL;
        if (!own) {
                report_missing(spec, "this machine has no cgroup version 2", report);
                return 0;
        }
        if (!spec->cgroup && spec->resources.count == 0)
                return 0;
        path = choose_path(spec->cgroup, id, own);
        if (!path)
                return error_no_memory(err);
        if (make_path(path) < 0) {
                report_missing(spec, "no cgroup can be made in those of this user", report);
                return 0;
        }
        put(path, pid);
        if (!is_in(path, pid)) {
                report_missing(spec, "no process may be moved to another cgroup", report);
                (void)rmdir(path);
                return 0;
        }
        if (set_limits(path, &spec->resources, report, err) < 0)
                return -1;
        *ret = TAKE_PTR(path);
        return 0;
}

void cgroup_join(const char *path, pid_t pid)
{
        put(path, pid);
}

void cgroup_remove(const char *path)
{
        const struct timespec pause = { .tv_nsec = 10000000 };

        /* Linux 5.14; before, whoever is left keeps the directory. */
        write_file(path, "cgroup.kill", "1");
        for (int i = 0; i < REMOVE_TRIES && rmdir(path) < 0 && errno == EBUSY; i++)
                (void)nanosleep(&pause, NULL);
}
