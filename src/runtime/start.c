/*
 * A start, in order. Every step is a function of its own in this folder; here is
 * only what is done when, and with which files of the site, the user and the image.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <unistd.h>

#include "runtime/child.h"
#include "runtime/container.h"
#include "util/path.h"

/* ---- what this version leaves out is said, not ignored ---- */

static int warn_of_hooks_in(struct container *container, const char *config_dir, struct error *err)
{
        auto_free char *path = path_join(config_dir, "hooks.d");
        auto_closedir DIR *dir = path ? opendir(path) : NULL;
        const struct dirent *entry;

        if (!path)
                return error_no_memory(err);
        while (dir && (entry = readdir(dir)) != NULL) {
                size_t length = strlen(entry->d_name);

                if (length > 3 && strcmp(entry->d_name + length - 3, ".sh") == 0 &&
                    !hooks_is_builtin(entry->d_name) &&
                    faccessat(dirfd(dir), entry->d_name, X_OK, 0) == 0)
                        report_warn(container->report,
                                    "hook %s/%s is not run: this version has the built-in hooks "
                                    "only",
                                    path, entry->d_name);
        }
        return 0;
}

static int warn_of_missing_features(struct container *container, struct error *err)
{
        const struct config *config = container->config;

        if (warn_of_hooks_in(container, config->sysconf_path, err) < 0)
                return -1;
        return warn_of_hooks_in(container, config->config_path, err);
}

/* ---- assembly ---- */

struct execution {
        const struct container *container;
        struct mount_plan later; /* mounts of all hooks */
};

static int execute_hook(void *context, struct hook_plan *plan, struct error *err)
{
        struct execution *execution = context;
        const struct container *container = execution->container;

        if (hook_plan_apply(plan, &container->root, container->report, err) < 0)
                return -1;
        return mount_plan_take(&execution->later, &plan->later) < 0 ? error_no_memory(err) : 0;
}

static int run_hooks(struct container *container, struct error *err)
{
        struct hook_context context = prepare_hooks(container);
        struct execution execution = { .container = container };
        int result = hooks_for_each_builtin(&context, execute_hook, &execution, err);

        if (result == 0)
                result = mount_plan_apply(&execution.later, &container->root, INT_MIN, INT_MAX,
                                          container->report, err);
        mount_plan_release(&execution.later);
        return result;
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

static int assemble(struct container *container, struct error *err)
{
        auto_mount_plan struct mount_plan plan = MOUNT_PLAN_INIT;
        const struct mount_root *root = &container->root;

        container->view = root_view_directory(root->fd);
        container->root.mount_image = image_mount_data;
        container->root.image_context = container;
        /* Mistakes are better found before anything is done. */
        if (prepare_environment(container, err) < 0 || prepare_mounts(container, &plan, err) < 0 ||
            mount_plan_check(&plan, root->path, err) < 0)
                return -1;
        if (mount_plan_apply(&plan, root, INT_MIN, PASS_LAST_BEFORE_HOOKS, container->report, err) <
                    0 ||
            run_hooks(container, err) < 0 ||
            mount_plan_apply(&plan, root, PASS_LAST_BEFORE_HOOKS + 1, INT_MAX, container->report,
                             err) < 0)
                return -1;
        mark_started(container);
        if (!container->config->rootfs_writable && rootfs_make_read_only(container, err) < 0)
                return -1;
        return 0;
}

/* ---- the start ---- */

/* As child_continue; the process that stays behind lets go of the image, whose server it is not. */
static int enter_pid_namespace(struct container *container, struct image_start *image,
                               int *ret_status, struct error *err)
{
        struct stand_in stand_in;
        int result = child_fork(&stand_in, true, err);

        if (result <= 0)
                return result;
        image_start_release(image);
        if (container->rc_fd >= 0)
                (void)close(TAKE_FD(container->rc_fd));
        *ret_status = child_watch(&stand_in);
        return 1;
}

/* 0, or -1; 1 with a wait status in the process that stays outside of a pid namespace. */
static int enter_namespaces(struct container *container, int *ret_status, struct error *err)
{
        auto_image_start struct image_start image = IMAGE_START_INIT;
        bool is_image = container->start->image;
        int result = 0;

        if (is_image && image_open(&image, container, err) < 0)
                return -1;
        if (container->user_namespace && namespace_enter_user(container, err) < 0)
                return -1;
        if (is_image && image_start_server(&image, container, err) < 0)
                return error_prefix(err, "%s", container->start->rootfs);
        if (container->config->unshare_pid)
                result = enter_pid_namespace(container, &image, ret_status, err);
        if (result != 0)
                return result;
        if (namespace_enter_others(container, err) < 0)
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
        if (warn_of_missing_features(&container, err) < 0 || prepare_rc(&container, err) < 0)
                return -1;
        result = enter_namespaces(&container, ret_status, err);
        if (result != 0)
                return result;
        if (assemble(&container, err) < 0)
                return -1;
        if (login_prepare(&login, &container, err) < 0 || rootfs_pivot(&container, err) < 0 ||
            privileges_drop(&container, err) < 0)
                return -1;
        return login_exec(&login, &container, err);
}

int runtime_try(const struct runtime_start *start, const struct config *config, struct error *err)
{
        auto_container struct container container = CONTAINER_INIT(start, config, NULL);
        int status;

        identity_init(&container);
        if (enter_namespaces(&container, &status, err) < 0)
                return -1;
        return fchdir(container.root.fd) < 0 ? error_errno(err, "%s", start->rootfs) : 0;
}
