/*
 * What is known before anything is mounted: environment and mounts as the image, the
 * site, the user and the command line have them. Only looks, so that a dry run does the
 * same.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "env/env.h"
#include "runtime/container.h"
#include "runtime/defaults.h"
#include "util/io.h"
#include "util/path.h"

/* Limits on files of the image and on --rc, in bytes. */
#define ENVIRONMENT_LIMIT (1u << 20)
#define FSTAB_LIMIT       (1u << 20)
#define RC_LIMIT          (16u << 20)

#ifndef MFD_NOEXEC_SEAL
#define MFD_NOEXEC_SEAL 0x0008U /* Linux 6.3 */
#endif

void container_release(struct container *container)
{
        if (container->root.fd >= 0)
                (void)close(container->root.fd);
        if (container->rc_fd >= 0)
                (void)close(container->rc_fd);
        free(container->root_path);
        strlist_release(&container->environment);
        if (container->hooks)
                hooks_close(container->hooks);
}

int prepare_rc(struct container *container, struct error *err)
{
        const char *path = container->start->rc;
        auto_strbuf struct strbuf text = STRBUF_INIT;

        if (!path)
                return 0;
        if (io_read_file(AT_FDCWD, path, RC_LIMIT, &text, err) < 0)
                return error_prefix(err, "--rc");
        return prepare_rc_text(container, path, &text, err);
}

int prepare_rc_text(struct container *container, const char *name, const struct strbuf *text,
                    struct error *err)
{
        container->rc_fd = memfd_create("rc", MFD_CLOEXEC | MFD_NOEXEC_SEAL);
        if (container->rc_fd < 0 && errno == EINVAL)
                container->rc_fd = memfd_create("rc", MFD_CLOEXEC);
        if (container->rc_fd < 0 ||
            io_write_full(container->rc_fd, strbuf_text(text), text->length) < 0)
                return error_errno(err, "script %s: cannot keep it in memory", name);
        return 0;
}

/* ---- environment ---- */

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

int prepare_environment(struct container *container, struct error *err)
{
        const struct strlist *host = &container->config->environment;
        auto_strbuf struct strbuf text = STRBUF_INIT;
        int installed = has_directory(container->config->sysconf_path, "environ.d", err);

        if (installed < 0)
                return -1;
        if (container->view.read(&container->view, "/etc/environment", ENVIRONMENT_LIMIT, &text,
                                 err) < 0 &&
            err->code != ENOENT)
                return error_prefix(err, "image");
        if (env_add_text(&container->environment, strbuf_text(&text), text.length, host, err) < 0)
                return error_prefix(err, "/etc/environment of the image");
        if (!installed && env_add_text(&container->environment, default_environment,
                                       strlen(default_environment), host, err) < 0)
                return -1;
        if (add_environment_of(container, container->config->sysconf_path, err) < 0)
                return -1;
        return add_environment_of(container, container->config->config_path, err);
}

int prepare_environment_options(struct container *container, struct error *err)
{
        const struct strlist *host = &container->config->environment;
        const struct strlist *words = container->start->env;

        for (size_t i = 0; words && i < words->count; i++)
                if (env_add_word(&container->environment, words->items[i], host, err) < 0)
                        return -1;
        return 0;
}

/* ---- mounts ---- */

static int add_mounts_of(struct mount_plan *plan, const char *config_dir,
                         const struct strlist *variables, struct error *err)
{
        auto_free char *path = path_join(config_dir, "mounts.d");

        if (!path)
                return error_no_memory(err);
        return mount_plan_add_dir(plan, path, variables, err);
}

/* The host's environment and what fstab lines may refer to besides. */
static int mount_variables(const struct container *container, struct strlist *ret,
                           struct error *err)
{
        auto_strbuf struct strbuf root = STRBUF_INIT;
        char pid[16];

        (void)snprintf(pid, sizeof(pid), "%d", namespace_host_pid());
        if (config_copy_environment(container->config, ret, err) < 0)
                return -1;
        if (strbuf_append_fstab(&root, container->root.path) < 0 ||
            env_set(ret, "ENROOT_ROOTFS", strbuf_text(&root)) < 0 ||
            env_set(ret, "ENROOT_PID", pid) < 0)
                return error_no_memory(err);
        return 0;
}

static int add_fstab_files(const struct container *container, struct mount_plan *plan,
                           struct error *err)
{
        auto_strlist struct strlist variables = STRLIST_INIT;
        auto_strbuf struct strbuf text = STRBUF_INIT;
        int installed = has_directory(container->config->sysconf_path, "mounts.d", err);

        if (installed < 0 || mount_variables(container, &variables, err) < 0)
                return -1;
        if (container->view.read(&container->view, "/etc/fstab", FSTAB_LIMIT, &text, err) < 0 &&
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

int prepare_mounts(const struct container *container, struct mount_plan *plan,
                   struct mount_plan *options, struct error *err)
{
        const struct strlist *words = container->start->mounts;

        if (add_fstab_files(container, plan, err) < 0 ||
            namespace_add_mounts(container->config, plan, err) < 0)
                return -1;
        for (size_t i = 0; words && i < words->count; i++)
                if (mount_plan_add_word(options, words->items[i], err) < 0)
                        return -1;
        if (mount_plan_sort(plan) < 0 || mount_plan_sort(options) < 0)
                return error_no_memory(err);
        return 0;
}

int prepare_last_known_pass(const struct container *container)
{
        return hooks_have_programs(container->hooks) ? PASS_LAST_BEFORE_HOOKS : INT_MAX;
}

struct hook_context prepare_hooks(struct container *container)
{
        return (struct hook_context){
                .config = container->config,
                .view = &container->view,
                .uid = container->identity.uid,
                .uid_outside = container->identity.uid_outside,
                .gid = container->identity.gid,
                .gid_outside = container->identity.gid_outside,
                .all_ids = container->subids || !container->user_namespace,
                .superuser = !container->user_namespace,
                .devices = container->start->devices,
                .environment = &container->environment,
                .report = container->report,
        };
}
