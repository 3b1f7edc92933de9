/*
 * A start that only tells: the steps of start.c in the same order, each planned by the
 * same functions, and printed where the start carries them out. What the rootfs holds is
 * read from the directory, or from the image without mounting it.
 */
#include <ctype.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <unistd.h>

#include "runtime/container.h"

struct dry_run {
        struct container container;
        int image_fd;
        struct squashfs_image *image;
        struct changed_root changed; /* the rootfs with what the hooks change */
        struct change_list changes;
        struct mount_plan mounts, options, later; /* of files; of options; of the hooks */
        struct strbuf *text;
};

static void dry_run_release(struct dry_run *run)
{
        container_release(&run->container);
        if (run->image)
                squashfs_close(run->image);
        if (run->image_fd >= 0)
                (void)close(run->image_fd);
        change_list_release(&run->changes);
        mount_plan_release(&run->mounts);
        mount_plan_release(&run->options);
        mount_plan_release(&run->later);
}

/* ---- looking ---- */

static int open_directory(struct dry_run *run, struct error *err)
{
        struct container *container = &run->container;
        const char *path = container->start->rootfs;

        container->root.fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
        if (container->root.fd < 0)
                return error_errno(err, "%s", path);
        container->root_path = strdup(path);
        run->changed.base = root_view_directory(container->root.fd);
        return container->root_path ? 0 : error_no_memory(err);
}

static int open_image(struct dry_run *run, struct error *err)
{
        struct container *container = &run->container;
        const char *path = container->start->rootfs;

        run->image_fd = open(path, O_RDONLY | O_CLOEXEC);
        if (run->image_fd < 0)
                return error_errno(err, "%s", path);
        run->image = squashfs_open_at(run->image_fd, container->start->image_offset, path, err);
        if (!run->image)
                return -1;
        container->root_path = image_root_path(container->config);
        run->changed.base = squashfs_view(run->image);
        return container->root_path ? 0 : error_no_memory(err);
}

/* ---- printing ---- */

static void print_identity(const struct container *container, struct strbuf *text)
{
        const struct identity *identity = &container->identity;
        const struct config *config = container->config;
        const struct runtime_overlay *overlay = &container->start->overlay;

        strbuf_printf(text, "rootfs: %s (%s, %s)\n", container->start->rootfs,
                      container->start->image ? "image" : "container",
                      config->rootfs_writable ? "writable" : "read-only");
        if (overlay->dir)
                strbuf_printf(text, "changes: in %s\n", overlay->dir);
        else if (container->start->image)
                strbuf_printf(text, "changes: in memory, %s%s\n",
                              overlay->size ? overlay->size : "at most half of it",
                              config->native_overlayfs ? "" : ", without overlayfs");
        strbuf_printf(text, "namespaces: %s%smount%s%s%s cgroup\n",
                      container->user_namespace ? "user " : "", config->unshare_pid ? "pid " : "",
                      config->unshare_net ? " net" : "", config->unshare_ipc ? " ipc" : "",
                      config->unshare_uts ? " uts" : "");
        strbuf_printf(text, "user: %u inside, %u on the host\n", identity->uid,
                      identity->uid_outside);
        strbuf_printf(text, "group: %u inside, %u on the host\n", identity->gid,
                      identity->gid_outside);
}

static void print_map(const char *what, const struct id_map *map, struct strbuf *text)
{
        for (size_t i = 0; i < map->count; i++)
                strbuf_printf(text, "  %s %u+%u inside, %u on the host\n", what,
                              map->ranges[i].inside, map->ranges[i].count, map->ranges[i].outside);
}

static int print_subids(const struct container *container, struct strbuf *text, struct error *err)
{
        struct id_map uids, gids;

        if (!container->subids)
                return 0;
        if (identity_read_subids(container, &uids, &gids, err) < 0)
                return -1;
        strbuf_append(text, "subordinate ids:\n");
        print_map("users", &uids, text);
        print_map("groups", &gids, text);
        return 0;
}

static void print_mounts(const struct mount_plan *plan, int first, int last, const char *indent,
                         struct strbuf *text)
{
        for (size_t i = 0; i < plan->count; i++) {
                const struct mount_entry *entry = &plan->entries[i];

                if (entry->pass < first || entry->pass > last)
                        continue;
                strbuf_append(text, indent);
                (void)mount_entry_print(entry, text);
                if (entry->origin)
                        strbuf_printf(text, "  # %s", entry->origin);
                strbuf_append_char(text, '\n');
        }
}

/* Print a hook's plan, and keep what later hooks and steps must know of it. */
static int print_hook(void *context, struct hook_plan *plan, struct error *err)
{
        struct dry_run *run = context;

        strbuf_printf(run->text, "  %s%s\n", plan->name, plan->program ? " (not run)" : "");
        print_mounts(&plan->now, INT_MIN, INT_MAX, "    mount ", run->text);
        (void)change_list_print(&plan->changes, "    ", run->text);
        for (size_t i = 0; i < plan->device_program_count; i++)
                strbuf_printf(run->text, "    run %s (not run)\n", plan->device_programs[i].path);
        print_mounts(&plan->later, INT_MIN, INT_MAX, "    later mount ", run->text);
        for (size_t i = 0; i < plan->changes.count; i++)
                if (change_list_add(&run->changes, &plan->changes.items[i]) < 0)
                        return error_no_memory(err);
        return mount_plan_take(&run->later, &plan->later) < 0 ? error_no_memory(err) : 0;
}

/* A line of its own for text that the image has a say in. */
static void print_word(const char *word, struct strbuf *text)
{
        strbuf_append(text, "  ");
        for (; *word; word++)
                if (iscntrl((unsigned char)*word))
                        strbuf_printf(text, "\\%03o", (unsigned char)*word);
                else
                        strbuf_append_char(text, *word);
        strbuf_append_char(text, '\n');
}

static int print_command(struct dry_run *run, struct error *err)
{
        auto_login struct login login = LOGIN_INIT;

        if (login_prepare(&login, &run->container, err) < 0)
                return -1;
        strbuf_append(run->text, "environment:\n");
        for (size_t i = 0; i < login.environment.count; i++)
                print_word(login.environment.items[i], run->text);
        if (login.has_umask)
                strbuf_printf(run->text, "umask: %03o\n", login.umask);
        strbuf_printf(run->text, "directory: %s\n",
                      login.work_dir ? login.work_dir
                      : login.home   ? login.home
                                     : "/");
        strbuf_printf(run->text, "program: %s\n", login.program ? login.program : login.argv[0]);
        strbuf_append(run->text, "arguments:\n");
        for (char **word = login.argv; *word; word++)
                print_word(*word, run->text);
        return 0;
}

static int print_plan(struct dry_run *run, struct error *err)
{
        struct container *container = &run->container;
        struct hook_context hooks = prepare_hooks(container);

        print_identity(container, run->text);
        if (print_subids(container, run->text, err) < 0)
                return -1;
        if (container->start->conf)
                strbuf_printf(run->text, "configuration: %s (not run)\n", container->start->conf);
        if (prepare_environment(container, err) < 0 ||
            prepare_environment_options(container, err) < 0 ||
            prepare_mounts(container, &run->mounts, &run->options, err) < 0)
                return -1;
        if (mount_plan_take(&run->mounts, &run->options) < 0 || mount_plan_sort(&run->mounts) < 0)
                return error_no_memory(err);
        strbuf_append(run->text, "mounts before the hooks:\n");
        print_mounts(&run->mounts, INT_MIN, PASS_LAST_BEFORE_HOOKS, "  ", run->text);
        strbuf_append(run->text, "hooks:\n");
        if (hooks_for_each(container->hooks, &hooks, print_hook, run, err) < 0)
                return -1;
        strbuf_append(run->text, "mounts after the hooks:\n");
        print_mounts(&run->later, INT_MIN, INT_MAX, "  ", run->text);
        print_mounts(&run->mounts, PASS_LAST_BEFORE_HOOKS + 1, INT_MAX, "  ", run->text);
        if (print_command(run, err) < 0)
                return -1;
        return mount_plan_check(&run->mounts, container->root.path, INT_MIN,
                                prepare_last_known_pass(container), err);
}

int runtime_print_plan(const struct runtime_start *start, const struct config *config,
                       struct report *report, struct strbuf *text, struct error *err)
{
        auto_cleanup(dry_run_release) struct dry_run run = {
                .container = CONTAINER_INIT(start, config, report),
                .image_fd = -1,
                .text = text,
        };

        identity_init(&run.container);
        run.container.hooks = hooks_find(config, start->conf, err);
        if (!run.container.hooks || prepare_rc(&run.container, err) < 0 ||
            (start->image ? open_image(&run, err) : open_directory(&run, err)) < 0)
                return -1;
        run.container.root.path = run.container.root_path;
        run.changed.changes = &run.changes;
        run.container.view = changed_root_view(&run.changed);
        if (print_plan(&run, err) < 0)
                return -1;
        return text->failed ? error_no_memory(err) : 0;
}
