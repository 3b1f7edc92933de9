/* The files of a container's cgroups: limits, figures, the freezer. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "oci/cgroup.h"
#include "util/io.h"
#include "util/path.h"

#define FILE_LIMIT    (4u << 20)
#define FREEZE_ROUNDS 500 /* of 10 ms, in which all processes must have stopped */

static bool is_unified(const struct strlist *cgroups)
{
        return cgroups->count > 0 && !*cgroups->items[0];
}

const char *cgroups_find(const struct strlist *cgroups, const char *controller)
{
        for (size_t i = 0; i + 1 < cgroups->count; i += 2)
                if (!*cgroups->items[i] || strcmp(cgroups->items[i], controller) == 0)
                        return cgroups->items[i + 1];
        return NULL;
}

int cgroups_read(const struct strlist *cgroups, const char *controller, const char *file,
                 struct strbuf *text)
{
        const char *dir = cgroups_find(cgroups, controller);
        auto_free char *path = dir ? path_join(dir, file) : NULL;
        struct error ignored = ERROR_INIT;

        strbuf_truncate(text, 0);
        return path ? io_read_file(-1, path, FILE_LIMIT, text, &ignored) : -1;
}

/* ---- limits ---- */

/* "pids.max=10" */
static int set(const struct strlist *cgroups, const char *setting, struct error *err)
{
        const char *equals = strchr(setting, '=');
        auto_free char *controller = strndup(setting, strcspn(setting, "."));
        auto_free char *file = strndup(setting, (size_t)(equals - setting)), *path = NULL;
        const char *dir;

        if (!controller || !file)
                return error_no_memory(err);
        dir = cgroups_find(cgroups, controller);
        if (!dir)
                return error_set(err, ENOENT, "this user may make no cgroup of the controller %s",
                                 controller);
        path = path_join(dir, file);
        return path ? io_write_file(-1, path, equals + 1, err) : error_no_memory(err);
}

/*
 * Memory with swap may not be less than memory at any time: what is refused is tried again
 * when the others are there.
 */
int cgroups_set(const struct strlist *cgroups, const struct oci_resources *resources,
                struct report *report, struct error *err)
{
        const struct strlist *settings = is_unified(cgroups) ? &resources->unified
                                                             : &resources->legacy;
        auto_strlist struct strlist refused = STRLIST_INIT;

        for (size_t i = 0; i < settings->count; i++) {
                struct error ignored = ERROR_INIT;

                if (set(cgroups, settings->items[i], &ignored) < 0 &&
                    strlist_append(&refused, settings->items[i]) < 0)
                        return error_no_memory(err);
        }
        for (size_t i = 0; i < refused.count; i++) {
                struct error why = ERROR_INIT;

                if (set(cgroups, refused.items[i], &why) == 0)
                        continue;
                if (!report) {
                        *err = why;
                        return error_prefix(err, "resources: %s", refused.items[i]);
                }
                report_warn(report, "resources: %s is not applied: %s", refused.items[i],
                            why.message);
        }
        return 0;
}

/* ---- processes ---- */

static int add_processes(const char *dir, pid_t **ret, size_t *ret_count, struct error *err)
{
        auto_free char *file = path_join(dir, "cgroup.procs");
        auto_strbuf struct strbuf text = STRBUF_INIT;
        char *rest = NULL;

        if (!file)
                return error_no_memory(err);
        if (io_read_file(-1, file, FILE_LIMIT, &text, err) < 0)
                return -1;
        for (char *line = text.data ? strtok_r(text.data, "\n", &rest) : NULL; line;
             line = strtok_r(NULL, "\n", &rest)) {
                pid_t *more = reallocarray(*ret, *ret_count + 1, sizeof(**ret));

                if (!more)
                        return error_no_memory(err);
                *ret = more;
                more[(*ret_count)++] = (pid_t)strtol(line, NULL, 10);
        }
        return 0;
}

int cgroups_processes(const struct strlist *cgroups, pid_t **ret, size_t *ret_count,
                      struct error *err)
{
        if (cgroups->count == 0)
                return error_set(err, ENOENT, "no cgroup");
        return add_processes(cgroups->items[1], ret, ret_count, err);
}

/* ---- the freezer ---- */

bool cgroups_frozen(const struct strlist *cgroups)
{
        auto_strbuf struct strbuf text = STRBUF_INIT;

        if (cgroups->count == 0)
                return false;
        if (is_unified(cgroups))
                return cgroups_read(cgroups, "", "cgroup.events", &text) == 0 &&
                       strstr(strbuf_text(&text), "frozen 1");
        return cgroups_read(cgroups, "freezer", "freezer.state", &text) == 0 &&
               strncmp(strbuf_text(&text), "FROZEN", 6) == 0;
}

int cgroups_freeze(const struct strlist *cgroups, bool frozen, struct error *err)
{
        const struct timespec pause = { .tv_nsec = 10000000 };
        const char *dir = cgroups_find(cgroups, "freezer");
        auto_free char *path = NULL;
        const char *value;

        if (!dir)
                return error_set(err, EOPNOTSUPP,
                                 "it has no cgroup that could be frozen: this user may make none "
                                 "(an administrator has to delegate one)");
        path = path_join(dir, is_unified(cgroups) ? "cgroup.freeze" : "freezer.state");
        if (!path)
                return error_no_memory(err);
        value = is_unified(cgroups) ? (frozen ? "1" : "0") : (frozen ? "FROZEN" : "THAWED");
        for (int round = 0; round < FREEZE_ROUNDS; round++) {
                /* Version 1 gives up on a process that is being made; one asks again. */
                if (io_write_file(-1, path, value, err) < 0)
                        return -1;
                if (cgroups_frozen(cgroups) == frozen)
                        return 0;
                (void)nanosleep(&pause, NULL);
        }
        return error_set(err, EBUSY, "its processes do not stop");
}
