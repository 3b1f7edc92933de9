/*
 * A start, in order. Every step is a function of its own in this folder; here is
 * only what is done when, and with which files of the site, the user and the image.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "env/env.h"
#include "hooks/hooks.h"
#include "runtime/container.h"
#include "runtime/defaults.h"
#include "util/io.h"
#include "util/path.h"
#include "util/root_file.h"

/* Limits on files of the image and on --rc, in bytes. */
#define ENVIRONMENT_LIMIT (1u << 20)
#define FSTAB_LIMIT       (1u << 20)
#define RC_LIMIT          (16u << 20)

#ifndef MFD_NOEXEC_SEAL
#define MFD_NOEXEC_SEAL 0x0008U /* Linux 6.3 */
#endif

/* fs_passno of what is mounted before the hooks run, and of what is mounted after. */
#define PASS_BEFORE_HOOKS (-1)
#define PASS_AFTER_HOOKS  0

static void container_release(struct container *container)
{
        if (container->root.fd >= 0)
                (void)close(container->root.fd);
        if (container->rc_fd >= 0)
                (void)close(container->rc_fd);
        free(container->root_path);
        strlist_release(&container->environment);
}

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
        const struct {
                bool asked;
                const char *name;
        } namespaces[] = {
                { config->unshare_pid, "PID" },
                { config->unshare_net, "NET" },
                { config->unshare_ipc, "IPC" },
                { config->unshare_uts, "UTS" },
        };

        for (size_t i = 0; i < ARRAY_SIZE(namespaces); i++)
                if (namespaces[i].asked)
                        report_warn(container->report,
                                    "ENROOT_UNSHARE_%s has no effect in this version",
                                    namespaces[i].name);
        if (container->start->image && !config->native_overlayfs)
                report_warn(container->report, "ENROOT_NATIVE_OVERLAYFS=no has no effect: images "
                                               "are always started with the kernel's overlayfs");
        if (warn_of_hooks_in(container, config->sysconf_path, err) < 0)
                return -1;
        return warn_of_hooks_in(container, config->config_path, err);
}

/* ---- files of the user ---- */

/* Keep what --rc says in memory: its path means nothing inside, and it may be a pipe. */
static int read_rc(struct container *container, struct error *err)
{
        const char *path = container->start->rc;
        auto_strbuf struct strbuf text = STRBUF_INIT;

        if (!path)
                return 0;
        if (io_read_file(AT_FDCWD, path, RC_LIMIT, &text, err) < 0)
                return error_prefix(err, "--rc");
        container->rc_fd = memfd_create("rc", MFD_CLOEXEC | MFD_NOEXEC_SEAL);
        if (container->rc_fd < 0 && errno == EINVAL)
                container->rc_fd = memfd_create("rc", MFD_CLOEXEC);
        if (container->rc_fd < 0 ||
            io_write_full(container->rc_fd, strbuf_text(&text), text.length) < 0)
                return error_errno(err, "--rc %s: cannot keep it in memory", path);
        return 0;
}

/* ---- environment and mounts ---- */

/* Whether a directory of the system configuration is there; its text is built in otherwise. */
static int has_directory(const char *parent, const char *name, struct error *err)
{
        auto_free char *path = path_join(parent, name);

        if (!path)
                return error_no_memory(err);
        return access(path, F_OK) == 0;
}

static int add_environment_of(struct container *container, const char *config_dir,
                              struct error *err)
{
        auto_free char *path = path_join(config_dir, "environ.d");

        if (!path)
                return error_no_memory(err);
        return env_add_dir(&container->environment, path, &container->config->environment, err);
}

static int build_environment(struct container *container, struct error *err)
{
        const struct strlist *host = &container->config->environment;
        const struct strlist *words = container->start->env;
        auto_strbuf struct strbuf text = STRBUF_INIT;
        int installed = has_directory(container->config->sysconf_path, "environ.d", err);

        if (installed < 0)
                return -1;
        if (root_file_read(container->root.fd, "/etc/environment", ENVIRONMENT_LIMIT, &text, err) <
                    0 &&
            err->code != ENOENT)
                return error_prefix(err, "image");
        if (env_add_text(&container->environment, strbuf_text(&text), text.length, host, err) < 0)
                return error_prefix(err, "/etc/environment of the image");
        if (!installed && env_add_text(&container->environment, default_environment,
                                       strlen(default_environment), host, err) < 0)
                return -1;
        if (add_environment_of(container, container->config->sysconf_path, err) < 0 ||
            add_environment_of(container, container->config->config_path, err) < 0)
                return -1;
        for (size_t i = 0; words && i < words->count; i++)
                if (env_add_word(&container->environment, words->items[i], host, err) < 0)
                        return -1;
        return 0;
}

static int add_mounts_of(struct mount_plan *plan, const char *config_dir,
                         const struct strlist *variables, struct error *err)
{
        auto_free char *path = path_join(config_dir, "mounts.d");

        if (!path)
                return error_no_memory(err);
        return mount_plan_add_dir(plan, path, variables, err);
}

/* A path as a field of fstab(5). malloc'd, or NULL without memory. */
static char *fstab_field(const char *path)
{
        auto_strbuf struct strbuf text = STRBUF_INIT;

        for (; *path; path++) {
                if (strchr(" \t\n\\", *path))
                        strbuf_printf(&text, "\\%03o", (unsigned char)*path);
                else
                        strbuf_append_char(&text, *path);
        }
        return strbuf_take(&text);
}

/* The host's environment and what fstab lines may refer to besides. */
static int mount_variables(const struct container *container, struct strlist *ret,
                           struct error *err)
{
        const struct strlist *host = &container->config->environment;
        auto_free char *root = fstab_field(container->root.path);
        char pid[16];

        (void)snprintf(pid, sizeof(pid), "%d", getpid());
        for (size_t i = 0; i < host->count; i++)
                if (strlist_append(ret, host->items[i]) < 0)
                        return error_no_memory(err);
        if (!root || env_set(ret, "ENROOT_ROOTFS", root) < 0 || env_set(ret, "ENROOT_PID", pid) < 0)
                return error_no_memory(err);
        return 0;
}

/* Everything that is known before the hooks run: of the image, the site and the user. */
static int build_mounts(struct container *container, struct mount_plan *plan, struct error *err)
{
        auto_strlist struct strlist variables = STRLIST_INIT;
        auto_strbuf struct strbuf text = STRBUF_INIT;
        int installed = has_directory(container->config->sysconf_path, "mounts.d", err);

        if (installed < 0 || mount_variables(container, &variables, err) < 0)
                return -1;
        if (root_file_read(container->root.fd, "/etc/fstab", FSTAB_LIMIT, &text, err) < 0 &&
            err->code != ENOENT)
                return error_prefix(err, "image");
        if (mount_plan_add_fstab(plan, strbuf_text(&text), text.length, "/etc/fstab of the image",
                                 &variables, err) < 0)
                return -1;
        if (!installed && mount_plan_add_fstab(plan, default_mounts, strlen(default_mounts),
                                               "built-in mounts", &variables, err) < 0)
                return -1;
        if (add_mounts_of(plan, container->config->sysconf_path, &variables, err) < 0)
                return -1;
        return add_mounts_of(plan, container->config->config_path, &variables, err);
}

static int run_hooks(struct container *container, struct error *err)
{
        auto_mount_plan struct mount_plan plan = MOUNT_PLAN_INIT;
        struct hook_context context = {
                .config = container->config,
                .root = container->root,
                .uid = container->identity.uid,
                .uid_outside = container->identity.uid_outside,
                .gid = container->identity.gid,
                .gid_outside = container->identity.gid_outside,
                .mounts = &plan,
                .environment = &container->environment,
                .report = container->report,
        };

        if (hooks_run_builtin(&context, err) < 0)
                return -1;
        return mount_plan_apply(&plan, &container->root, PASS_AFTER_HOOKS, PASS_AFTER_HOOKS,
                                container->report, err);
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
        const struct strlist *words = container->start->mounts;

        if (build_environment(container, err) < 0 || build_mounts(container, &plan, err) < 0)
                return -1;
        /* A mistake on the command line is better found before anything is done. */
        for (size_t i = 0; words && i < words->count; i++)
                if (mount_plan_add_word(&plan, words->items[i], err) < 0)
                        return -1;
        if (mount_plan_apply(&plan, &container->root, PASS_BEFORE_HOOKS, PASS_BEFORE_HOOKS,
                             container->report, err) < 0 ||
            run_hooks(container, err) < 0 ||
            mount_plan_apply(&plan, &container->root, PASS_AFTER_HOOKS, PASS_AFTER_HOOKS,
                             container->report, err) < 0)
                return -1;
        mark_started(container);
        if (!container->config->rootfs_writable && rootfs_make_read_only(container, err) < 0)
                return -1;
        return 0;
}

/* ---- the start ---- */

static int enter_namespaces(struct container *container, struct error *err)
{
        auto_image_start struct image_start image = IMAGE_START_INIT;
        bool is_image = container->start->image;

        if (is_image && image_open(&image, container, err) < 0)
                return -1;
        if (container->user_namespace && namespace_enter_user(&container->identity, err) < 0)
                return -1;
        if (is_image && image_start_server(&image, container, err) < 0)
                return error_prefix(err, "%s", container->start->rootfs);
        if (namespace_enter_mount(container->user_namespace, err) < 0)
                return -1;
        if (!is_image)
                return rootfs_mount_directory(container, err);
        if (image_mount(&image, container, err) < 0)
                return error_prefix(err, "%s", container->start->rootfs);
        return 0;
}

int runtime_start(const struct runtime_start *start, const struct config *config,
                  struct report *report, struct error *err)
{
        auto_cleanup(container_release) struct container container = {
                .start = start,
                .config = config,
                .report = report,
                .root = { .fd = -1 },
                .rc_fd = -1,
        };
        auto_login struct login login = LOGIN_INIT;

        identity_init(&container);
        if (warn_of_missing_features(&container, err) < 0 || read_rc(&container, err) < 0)
                return -1;
        if (enter_namespaces(&container, err) < 0 || assemble(&container, err) < 0)
                return -1;
        if (login_prepare(&login, &container, err) < 0 || rootfs_pivot(&container, err) < 0 ||
            privileges_drop(&container, err) < 0)
                return -1;
        return login_exec(&login, &container, err);
}
