/*
 * A start, in order. Every step is a function of its own in this folder; here is
 * only what is done when, and with which files of the site, the user and the image.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <unistd.h>

#include "runtime/child.h"
#include "runtime/container.h"

/* ---- assembly ---- */

struct execution {
        struct container *container;
        struct mount_plan later; /* mounts of all hooks */
};

static void execution_release(struct execution *execution)
{
        mount_plan_release(&execution->later);
}

static int execute_hook(void *context, struct hook_plan *plan, struct error *err)
{
        struct execution *execution = context;
        struct container *container = execution->container;

        if (plan->program)
                return hooks_run_program(container->hooks, plan->name, &container->environment,
                                         &execution->later, err);
        if (hook_plan_apply(plan, &container->root, container->report, err) < 0 ||
            hooks_run_device_programs(container->hooks, plan, err) < 0)
                return -1;
        return mount_plan_take(&execution->later, &plan->later) < 0 ? error_no_memory(err) : 0;
}

static int run_hooks(struct container *container, struct error *err)
{
        struct hook_context context = prepare_hooks(container);
        auto_cleanup(execution_release) struct execution execution = { .container = container };

        if (hooks_for_each(container->hooks, &context, execute_hook, &execution, err) < 0 ||
            hooks_call_hooks(container->hooks, &container->environment, &execution.later, err) < 0)
                return -1;
        return mount_plan_apply(&execution.later, &container->root, INT_MIN, INT_MAX,
                                container->report, err);
}

/* What is mounted after the hooks: by files, by a start configuration, by options. */
static int mount_rest(struct container *container, struct mount_plan *files,
                      struct mount_plan *options, struct error *err)
{
        if (hooks_call_mounts(container->hooks, &container->environment, files, err) < 0)
                return -1;
        if (mount_plan_take(files, options) < 0 || mount_plan_sort(files) < 0)
                return error_no_memory(err);
        if (prepare_last_known_pass(container) < INT_MAX &&
            mount_plan_check(files, container->root.path, PASS_LAST_BEFORE_HOOKS + 1, INT_MAX,
                             err) < 0)
                return -1;
        return mount_plan_apply(files, &container->root, PASS_LAST_BEFORE_HOOKS + 1, INT_MAX,
                                container->report, err);
}

/* rc() of a start configuration, which --rc replaces. */
static int take_rc(struct container *container, struct error *err)
{
        auto_strbuf struct strbuf script = STRBUF_INIT;
        int defined = container->rc_fd < 0 ? hooks_call_rc(container->hooks, &script, err) : 0;

        if (defined <= 0)
                return defined;
        return prepare_rc_text(container, "rc()", &script, err);
}

/*
 * The marker of a started rootfs, which "enroot list --fancy" of the classic tool
 * looks for in /proc/PID/root. Only ever made once, and not needed by anything else.
 */
static void mark_started(const struct container *container)
{
        auto_close int fd = -1;

        if (faccessat(container->root.fd, ".lock", F_OK, AT_SYMLINK_NOFOLLOW) < 0)
                fd = openat(container->root.fd, ".lock",
                            O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0644);
}

static int open_hooks(struct container *container, struct error *err)
{
        if (!hooks_have_programs(container->hooks))
                return 0;
        return hooks_open(container->hooks, container->config, container->config->runtime_path,
                          container->root.path, namespace_host_pid(), container->start->command,
                          err);
}

static int build_environment(struct container *container, struct error *err)
{
        if (prepare_environment(container, err) < 0 ||
            hooks_call_environ(container->hooks, &container->environment, err) < 0)
                return -1;
        return prepare_environment_options(container, err);
}

static int assemble(struct container *container, struct error *err)
{
        auto_mount_plan struct mount_plan files = MOUNT_PLAN_INIT, options = MOUNT_PLAN_INIT;
        const struct mount_root *root = &container->root;
        int known = prepare_last_known_pass(container);

        container->view = root_view_directory(root->fd);
        container->root.mount_image = runtime_mount_image;
        container->root.image_context = &container->identity;
        /* Mistakes are better found before anything is done. */
        if (prepare_mounts(container, &files, &options, err) < 0 ||
            mount_plan_check(&files, root->path, INT_MIN, known, err) < 0 ||
            mount_plan_check(&options, root->path, INT_MIN, known, err) < 0)
                return -1;
        if (open_hooks(container, err) < 0 || build_environment(container, err) < 0)
                return -1;
        if (mount_plan_apply(&files, root, INT_MIN, PASS_LAST_BEFORE_HOOKS, container->report,
                             err) < 0 ||
            mount_plan_apply(&options, root, INT_MIN, PASS_LAST_BEFORE_HOOKS, container->report,
                             err) < 0)
                return -1;
        if (run_hooks(container, err) < 0 || mount_rest(container, &files, &options, err) < 0 ||
            take_rc(container, err) < 0)
                return -1;
        hooks_close(TAKE_PTR(container->hooks));
        mark_started(container);
        if (!container->config->rootfs_writable && rootfs_make_read_only(container, err) < 0)
                return -1;
        return 0;
}

/* ---- the start ---- */

/* As child_continue; the process that stays behind lets go of the image, whose server it is not. */
static int become_child(struct container *container, struct image_start *image, int *ret_status,
                        struct error *err)
{
        struct stand_in stand_in;
        int result = child_fork(&stand_in, container->config->unshare_pid, err);

        if (result <= 0)
                return result;
        image_start_release(image);
        if (container->rc_fd >= 0)
                (void)close(TAKE_FD(container->rc_fd));
        *ret_status = child_watch(&stand_in);
        return 1;
}

/* Files of site and user that come with the start, with the hooks that are among them. */
static int lay_down(struct container *container, struct error *err)
{
        const struct runtime_start *start = container->start;
        const struct config *config = container->config;

        if (start->lay_down(start->lay_down_context, config->runtime_path, err) < 0)
                return -1;
        container->hooks = hooks_find(config, start->conf, err);
        return container->hooks ? 0 : -1;
}

/* 0, or -1; 1 with a wait status in the process that stays outside. */
static int enter_namespaces(struct container *container, int *ret_status, struct error *err)
{
        auto_image_start struct image_start image = IMAGE_START_INIT;
        bool is_image = container->start->image;
        bool needs_directory = is_image || container->start->lay_down ||
                               (container->hooks && hooks_have_programs(container->hooks));
        int result = 0;

        if (is_image && image_open(&image, container, err) < 0)
                return -1;
        if (needs_directory && runtime_directory_make(container->config, err) < 0)
                return -1;
        if (container->user_namespace && namespace_enter_user(container, err) < 0)
                return -1;
        if (is_image && image_start_server(&image, container, err) < 0)
                return error_prefix(err, "%s", container->start->rootfs);
        if (container->config->unshare_pid || container->start->stay)
                result = become_child(container, &image, ret_status, err);
        if (result != 0)
                return result;
        if (namespace_enter_others(container, err) < 0)
                return -1;
        if (needs_directory && runtime_directory_mount(container->config, err) < 0)
                return -1;
        if (container->start->lay_down && lay_down(container, err) < 0)
                return -1;
        if (!is_image)
                return rootfs_mount_directory(container, err);
        if (image_mount(&image, container, err) < 0)
                return error_prefix(err, "%s", container->start->rootfs);
        return 0;
}

int runtime_start(const struct runtime_start *start, const struct config *config,
                  struct report *report, int *ret_status, struct error *err)
{
        auto_container struct container container = CONTAINER_INIT(start, config, report);
        auto_login struct login login = LOGIN_INIT;
        int result;

        identity_init(&container);
        if (!start->lay_down) {
                container.hooks = hooks_find(config, start->conf, err);
                if (!container.hooks)
                        return -1;
        }
        if (prepare_rc(&container, err) < 0)
                return -1;
        result = enter_namespaces(&container, ret_status, err);
        if (result != 0)
                return result;
        if (assemble(&container, err) < 0)
                return -1;
        if (login_prepare(&login, &container, err) < 0 || rootfs_pivot(&container, err) < 0 ||
            privileges_drop(&container, err) < 0)
                return -1;
        if (start->hold)
                return start->hold(start->hold_context, &login.environment,
                                   login.work_dir ? login.work_dir : "/", err);
        return login_exec(&login, &container, err);
}

int runtime_try(const struct runtime_start *start, const struct config *config, struct error *err)
{
        /* This process goes on itself: no other one takes its place in a pid namespace. */
        struct config here = *config;
        auto_container struct container container = CONTAINER_INIT(start, &here, NULL);
        int status;

        here.unshare_pid = false;
        identity_init(&container);
        if (enter_namespaces(&container, &status, err) < 0)
                return -1;
        return fchdir(container.root.fd) < 0 ? error_errno(err, "%s", start->rootfs) : 0;
}
