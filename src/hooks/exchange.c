#include "hooks/exchange.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "env/env.h"
#include "util/io.h"
#include "util/own_program.h"
#include "util/path.h"

/* For a host without PATH, as login programs have it. */
#define DEFAULT_PATH "/usr/local/bin:/usr/bin:/bin"

void exchange_release(struct exchange *exchange)
{
        free(TAKE_PTR(exchange->environ_path));
        free(TAKE_PTR(exchange->mounts_path));
        free(TAKE_PTR(exchange->script_path));
        strlist_release(&exchange->variables);
        strbuf_release(&exchange->environ_text);
        strbuf_release(&exchange->mounts_text);
}

/* ---- variables ---- */

static bool has_directory(const char *path, const char *dir)
{
        size_t length = strlen(dir);

        for (const char *p = path; (p = strstr(p, dir)) != NULL; p += length)
                if ((p == path || p[-1] == ':') && (p[length] == ':' || p[length] == '\0'))
                        return true;
        return false;
}

/* enroot-mount and its like stand beside this program, whatever the user's PATH is. */
static int add_own_directory(struct strlist *variables)
{
        const char *path = env_get(variables, "PATH");
        char program[PATH_MAX];
        auto_free char *longer = NULL;
        char *slash;

        if (!path || !*path)
                path = DEFAULT_PATH;
        slash = own_program_path(program) == 0 ? strrchr(program, '/') : NULL;
        if (!slash)
                return env_set(variables, "PATH", path);
        *slash = '\0';
        if (has_directory(path, program))
                return 0;
        if (asprintf(&longer, "%s:%s", path, program) < 0) {
                longer = NULL;
                return -1;
        }
        return env_set(variables, "PATH", longer);
}

/* Nothing of the image is in it: what it sets must not reach programs outside (LD_PRELOAD). */
static int set_variables(struct exchange *exchange, const struct config *config, const char *rootfs,
                         pid_t container, struct error *err)
{
        struct strlist *variables = &exchange->variables;
        char pid[16];

        if (config_copy_environment(config, variables, err) < 0)
                return -1;
        (void)snprintf(pid, sizeof(pid), "%d", container);
        /* As in the classic tool: what a shell sources on its own is no part of a hook. */
        (void)env_unset(variables, "BASH_ENV");
        if (env_set(variables, "ENROOT_PID", pid) < 0 ||
            env_set(variables, "ENROOT_ROOTFS", rootfs) < 0 ||
            env_set(variables, "ENROOT_ENVIRON", exchange->environ_path) < 0 ||
            env_set(variables, "ENROOT_MOUNTS", exchange->mounts_path) < 0 ||
            env_set(variables, "ENROOT_VERSION", ENROOT_VERSION) < 0 ||
            add_own_directory(variables) < 0)
                return error_no_memory(err);
        return 0;
}

/* ---- files ---- */

/* Create or replace a file of ours. */
static int write_file(const char *path, const struct strbuf *text, struct error *err)
{
        auto_close int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);

        if (fd < 0 || io_write_full(fd, strbuf_text(text), text->length) < 0)
                return error_errno(err, "%s", path);
        return 0;
}

int exchange_open(struct exchange *exchange, const struct config *config, const char *directory,
                  const char *rootfs, pid_t pid, struct error *err)
{
        exchange->environ_path = path_join(directory, "environment");
        exchange->mounts_path = path_join(directory, "fstab");
        exchange->script_path = path_join(directory, "rc"); /* conf.bash knows it, too */
        if (!exchange->environ_path || !exchange->mounts_path || !exchange->script_path)
                return error_no_memory(err);
        if (write_file(exchange->environ_path, &exchange->environ_text, err) < 0 ||
            write_file(exchange->mounts_path, &exchange->mounts_text, err) < 0)
                return -1;
        return set_variables(exchange, config, rootfs, pid, err);
}

/* A value of several lines has no place in the file; the container has it all the same. */
static bool fits_a_line(const char *item)
{
        return !strchr(item, '\n');
}

static int print_environment(const struct strlist *environment, struct strbuf *text)
{
        for (size_t i = 0; i < environment->count; i++)
                if (fits_a_line(environment->items[i])) {
                        strbuf_append(text, environment->items[i]);
                        strbuf_append_char(text, '\n');
                }
        return text->failed ? -1 : 0;
}

/*
 * The lines of programs stay as they were written, because later programs edit them;
 * what has been added to the plan since goes behind them.
 */
static int print_mounts(const struct exchange *exchange, const struct mount_plan *plan,
                        struct strbuf *text)
{
        const struct strbuf *old = &exchange->mounts_text;

        strbuf_append_mem(text, strbuf_text(old), old->length);
        if (old->length > 0 && old->data[old->length - 1] != '\n')
                strbuf_append_char(text, '\n');
        for (size_t i = exchange->mount_count; i < plan->count; i++) {
                if (mount_entry_print(&plan->entries[i], text) < 0)
                        return -1;
                strbuf_append_char(text, '\n');
        }
        return text->failed ? -1 : 0;
}

/* Give the file another content if it has another; old takes it over. */
static int update_file(const char *path, struct strbuf *old, struct strbuf *text, struct error *err)
{
        if (text->length == old->length &&
            memcmp(strbuf_text(text), strbuf_text(old), text->length) == 0)
                return 0;
        if (write_file(path, text, err) < 0)
                return -1;
        strbuf_release(old);
        *old = TAKE(*text, (struct strbuf)STRBUF_INIT);
        return 0;
}

int exchange_write(struct exchange *exchange, const struct strlist *environment,
                   const struct mount_plan *mounts, struct error *err)
{
        auto_strbuf struct strbuf lines = STRBUF_INIT, fstab = STRBUF_INIT;

        if (print_environment(environment, &lines) < 0 ||
            print_mounts(exchange, mounts, &fstab) < 0)
                return error_no_memory(err);
        exchange->mount_count = mounts->count;
        if (update_file(exchange->environ_path, &exchange->environ_text, &lines, err) < 0)
                return -1;
        return update_file(exchange->mounts_path, &exchange->mounts_text, &fstab, err);
}

int exchange_clear_mounts(struct exchange *exchange, struct error *err)
{
        auto_strbuf struct strbuf nothing = STRBUF_INIT;

        exchange->mount_count = 0;
        return update_file(exchange->mounts_path, &exchange->mounts_text, &nothing, err);
}

/* ---- reading back ---- */

/* Read a file; *ret_start is what has been appended, or the whole where the rest was edited. */
static int read_file(const char *path, size_t limit, const struct strbuf *old, struct strbuf *text,
                     const char **ret_start, struct error *err)
{
        if (io_read_file(AT_FDCWD, path, limit, text, err) < 0)
                return -1;
        *ret_start = strbuf_text(text);
        if (text->length >= old->length &&
            memcmp(strbuf_text(text), strbuf_text(old), old->length) == 0)
                *ret_start += old->length;
        return 0;
}

static int keep_long_items(struct strlist *from, struct strlist *to)
{
        for (size_t i = 0; i < from->count; i++)
                if (!fits_a_line(from->items[i]) && strlist_append(to, from->items[i]) < 0)
                        return -1;
        return 0;
}

static int read_environment(struct exchange *exchange, struct strlist *environment,
                            struct error *err)
{
        auto_strbuf struct strbuf text = STRBUF_INIT;
        auto_strlist struct strlist kept = STRLIST_INIT;
        const char *start;

        if (read_file(exchange->environ_path, ENV_FILE_LIMIT, &exchange->environ_text, &text,
                      &start, err) < 0)
                return -1;
        if (start == strbuf_text(&text)) { /* edited: the file says what there is */
                if (keep_long_items(environment, &kept) < 0)
                        return error_no_memory(err);
                strlist_release(environment);
                *environment = TAKE(kept, (struct strlist)STRLIST_INIT);
        }
        if (env_add_text(environment, start, text.length - (size_t)(start - strbuf_text(&text)),
                         NULL, err) < 0)
                return error_prefix(err, "ENROOT_ENVIRON");
        strbuf_release(&exchange->environ_text);
        exchange->environ_text = TAKE(text, (struct strbuf)STRBUF_INIT);
        return 0;
}

static int read_mounts(struct exchange *exchange, struct mount_plan *plan, const char *who,
                       struct error *err)
{
        auto_strbuf struct strbuf text = STRBUF_INIT;
        auto_free char *origin = NULL;
        const char *start;

        if (asprintf(&origin, "mounts of %s", who) < 0) {
                origin = NULL;
                return error_no_memory(err);
        }
        if (read_file(exchange->mounts_path, MOUNT_FILE_LIMIT, &exchange->mounts_text, &text,
                      &start, err) < 0)
                return error_prefix(err, "%s", origin);
        if (start == strbuf_text(&text))
                mount_plan_release(plan);
        if (mount_plan_add_fstab(plan, start, text.length - (size_t)(start - strbuf_text(&text)),
                                 origin, NULL, err) < 0)
                return -1;
        exchange->mount_count = plan->count;
        strbuf_release(&exchange->mounts_text);
        exchange->mounts_text = TAKE(text, (struct strbuf)STRBUF_INIT);
        return 0;
}

int exchange_read(struct exchange *exchange, struct strlist *environment, struct mount_plan *mounts,
                  const char *who, struct error *err)
{
        if (read_environment(exchange, environment, err) < 0)
                return error_prefix(err, "%s", who);
        return read_mounts(exchange, mounts, who, err);
}

int exchange_read_script(struct exchange *exchange, size_t limit, struct strbuf *script,
                         struct error *err)
{
        return io_read_file(AT_FDCWD, exchange->script_path, limit, script, err);
}
