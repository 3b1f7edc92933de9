/*
 * enroot never writes to a cgroup. What there is matters for limits that a user wants to
 * set himself, and for devices that a job or pod was not given.
 */
#include <errno.h>
#include <linux/magic.h>
#include <string.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "check/probe.h"

static bool is_cgroup2(const char *path)
{
        struct statfs st;

        return statfs(path, &st) == 0 && st.f_type == CGROUP2_SUPER_MAGIC;
}

int probe_cgroup_version(const struct probe_context *context, const struct probe *probe,
                         struct probe_answer *answer, struct error *err)
{
        (void)probe;
        if (!probe_exists(context, "/sys/fs/cgroup"))
                return error_set(err, ENOENT, "no /sys/fs/cgroup");
        if (is_cgroup2("/sys/fs/cgroup"))
                return probe_found(answer, "version 2");
        if (is_cgroup2("/sys/fs/cgroup/unified"))
                return probe_found(answer, "version 1, with version 2 beside it");
        return probe_found(answer, "version 1");
}

/* The path of the process in the hierarchy with this name ("" is version 2), from cgroups(7). */
static bool find_cgroup(const struct probe_context *context, const char *controller,
                        struct strbuf *ret)
{
        auto_strbuf struct strbuf text = STRBUF_INIT;
        struct error ignored = ERROR_INIT;
        size_t length = strlen(controller);

        if (probe_read(context, "/proc/self/cgroup", &text, &ignored) < 0)
                return false;
        for (const char *line = strbuf_text(&text); *line;) {
                const char *end = strchrnul(line, '\n'), *name = strchr(line, ':');

                if (name && name < end && strncmp(name + 1, controller, length) == 0 &&
                    name[1 + length] == ':')
                        return strbuf_append_mem(ret, name + length + 2,
                                                 (size_t)(end - name) - length - 2) == 0;
                line = *end ? end + 1 : end;
        }
        return false;
}

int probe_cgroup_delegation(const struct probe_context *context, const struct probe *probe,
                            struct probe_answer *answer, struct error *err)
{
        auto_strbuf struct strbuf path = STRBUF_INIT, file = STRBUF_INIT;

        (void)probe;
        if (!find_cgroup(context, "", &path))
                return error_set(err, ENOENT, "no cgroup of version 2");
        strbuf_printf(&file, "/sys/fs/cgroup%s%s/cgroup.procs",
                      is_cgroup2("/sys/fs/cgroup") ? "" : "/unified",
                      strcmp(strbuf_text(&path), "/") == 0 ? "" : strbuf_text(&path));
        if (file.failed)
                return error_no_memory(err);
        if (access(file.data, W_OK) < 0)
                return error_errno(err, "%s", file.data);
        return probe_found(answer, "%.200s", path.data);
}

int probe_device_cgroup(const struct probe_context *context, const struct probe *probe,
                        struct probe_answer *answer, struct error *err)
{
        auto_strbuf struct strbuf path = STRBUF_INIT;

        (void)probe;
        (void)err;
        if (!find_cgroup(context, "devices", &path))
                return probe_found(answer, "none of version 1; of version 2 it cannot be seen");
        if (strcmp(strbuf_text(&path), "/") == 0)
                return probe_found(answer, "no restriction");
        return probe_found(answer, "%.200s: devices may be forbidden; the rules are never changed",
                           strbuf_text(&path));
}
