/*
 * 10-cgroups: of the cgroup file systems, the container sees the subtree of its own
 * process, read-only. Nothing is ever written to a cgroup.
 */
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>

#include "env/env.h"
#include "hooks/builtin.h"
#include "util/io.h"

/* A host with thousands of mounts has a long mountinfo: 64 MiB is half a million lines. */
#define PROC_FILE_LIMIT (64u << 20)

/* The fields of mountinfo(5) that matter. Pointers into one line. */
struct mount_line {
        const char *root, *mount_point, *type, *options;
        size_t root_length, mount_point_length, type_length, options_length;
};

/* Cut the next blank-separated word off *text, which ends before end. */
static const char *next_word(const char **text, const char *end, size_t *length)
{
        const char *word = *text;

        while (word < end && *word == ' ')
                word++;
        *length = 0;
        while (word + *length < end && word[*length] != ' ')
                (*length)++;
        *text = word + *length;
        return word;
}

static bool parse_mount_line(const char *line, const char *end, struct mount_line *ret)
{
        size_t length;
        const char *word;

        for (int i = 0; i < 3; i++)
                (void)next_word(&line, end, &length);
        ret->root = next_word(&line, end, &ret->root_length);
        ret->mount_point = next_word(&line, end, &ret->mount_point_length);
        /* Any number of optional fields, then "-". */
        do {
                word = next_word(&line, end, &length);
                if (length == 0)
                        return false;
        } while (length != 1 || *word != '-');
        ret->type = next_word(&line, end, &ret->type_length);
        (void)next_word(&line, end, &length); /* source */
        ret->options = next_word(&line, end, &ret->options_length);
        return ret->options_length > 0;
}

static bool equals(const char *text, size_t length, const char *word)
{
        return strlen(word) == length && memcmp(text, word, length) == 0;
}

/* Whether the comma-separated list has the whole of item in it. */
static bool list_has(const char *list, size_t length, const char *item, size_t item_length)
{
        for (const char *at = list; at + item_length <= list + length; at++)
                if (memcmp(at, item, item_length) == 0 && (at == list || at[-1] == ',') &&
                    (at + item_length == list + length || at[item_length] == ','))
                        return true;
        return false;
}

/* The hierarchy with these controllers (cgroup v1), or the unified one for none. */
static bool find_hierarchy(const char *mountinfo, const char *controllers, size_t length,
                           struct mount_line *ret)
{
        for (const char *line = mountinfo; *line;) {
                const char *end = strchrnul(line, '\n');
                bool found = parse_mount_line(line, end, ret);

                if (found && length == 0)
                        found = equals(ret->type, ret->type_length, "cgroup2");
                else if (found)
                        found = equals(ret->type, ret->type_length, "cgroup") &&
                                list_has(ret->options, ret->options_length, controllers, length);
                if (found)
                        return true;
                line = *end ? end + 1 : end;
        }
        return false;
}

/* mountinfo(5) writes blanks and backslashes as \040 and so on. */
static void append_unescaped(struct strbuf *text, const char *field, size_t length)
{
        for (size_t i = 0; i < length; i++) {
                unsigned int code = 0;

                if (field[i] == '\\' && i + 3 < length &&
                    sscanf(field + i + 1, "%3o", &code) == 1) {
                        strbuf_append_char(text, (char)code);
                        i += 3;
                } else {
                        strbuf_append_char(text, field[i]);
                }
        }
}

/* path: of the process's cgroup, from the root of the hierarchy. */
static int add_subtree(const struct mount_line *mount, const char *path, size_t length,
                       unsigned int up, struct mount_plan *plan)
{
        auto_strbuf struct strbuf source = STRBUF_INIT, target = STRBUF_INIT;
        struct mount_entry entry = {
                .bind = true,
                .recursive = true,
                .attr_set = MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC,
                .create = MOUNT_CREATE_DIR,
                .origin = (char *)"10-cgroups",
                .nofail = true,
                .silent = true,
        };

        /* The part of the hierarchy that is mounted may start at a cgroup of its own. */
        if (mount->root_length <= length && memcmp(path, mount->root, mount->root_length) == 0) {
                path += mount->root_length;
                length -= mount->root_length;
        }
        append_unescaped(&target, mount->mount_point, mount->mount_point_length);
        strbuf_append(&source, strbuf_text(&target));
        if (length > 0 && *path != '/')
                strbuf_append_char(&source, '/');
        strbuf_append_mem(&source, path, length);
        for (; up > 0; up--)
                strbuf_append(&source, "/..");
        if (source.failed || target.failed)
                return -1;
        entry.source = source.data;
        entry.target = target.data;
        return mount_plan_append(plan, &entry);
}

int cgroups_plan(const char *cgroup, const char *mountinfo, unsigned int up,
                 struct mount_plan *plan)
{
        struct mount_entry whole = {
                .target = (char *)"/sys/fs/cgroup",
                .bind = true,
                .recursive = true,
                .remount = true,
                .attr_set = MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC,
                .propagation = MS_SLAVE,
                .propagation_recursive = true,
                .origin = (char *)"10-cgroups",
                .nofail = true,
                .silent = true,
        };

        /* Lines of cgroups(7): "ID:CONTROLLERS:PATH". */
        for (const char *line = cgroup; *line;) {
                const char *end = strchrnul(line, '\n');
                const char *controllers = memchr(line, ':', (size_t)(end - line));
                const char *path =
                        controllers ? memchr(controllers + 1, ':', (size_t)(end - controllers - 1))
                                    : NULL;
                struct mount_line mount;

                if (path &&
                    find_hierarchy(mountinfo, controllers + 1, (size_t)(path - controllers - 1),
                                   &mount) &&
                    add_subtree(&mount, path + 1, (size_t)(end - path - 1), up, plan) < 0)
                        return -1;
                line = *end ? end + 1 : end;
        }
        return mount_plan_append(plan, &whole);
}

int hook_cgroups(struct hook_context *context, struct hook_plan *plan, struct error *err)
{
        auto_strbuf struct strbuf cgroup = STRBUF_INIT, mountinfo = STRBUF_INIT;
        /* Slurm gives each task a cgroup below the step's; the step's is what its tasks share. */
        const char *step = env_get(&context->config->environment, "SLURM_STEP_ID");

        if (io_read_file(-1, "/proc/self/cgroup", PROC_FILE_LIMIT, &cgroup, err) < 0)
                return err->code == ENOENT ? 0 : -1; /* a kernel without cgroups */
        if (io_read_file(-1, "/proc/self/mountinfo", PROC_FILE_LIMIT, &mountinfo, err) < 0)
                return -1;
        if (cgroups_plan(strbuf_text(&cgroup), strbuf_text(&mountinfo), step && *step ? 1 : 0,
                         &plan->later) < 0)
                return error_no_memory(err);
        return 0;
}
