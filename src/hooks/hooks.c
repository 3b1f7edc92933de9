/*
 * Which hooks there are, in which order, and running them one after the other. In files
 * that programs edit, built-in hooks and programs see each other's additions (exchange.h).
 */
#include "hooks/hooks.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "env/env.h"
#include "hooks/builtin.h"
#include "hooks/conf.h"
#include "hooks/exchange.h"
#include "hooks/oci_hook.h"
#include "hooks/process.h"
#include "util/dropin.h"
#include "util/path.h"

/* Largest script that rc() of a start configuration may be, in bytes. */
#define RC_LIMIT (1u << 20)

/* Every failure means that another start has written what it wants; few want different things. */
#define PLAN_TRIES 10

/* In the order of their names. */
static const struct builtin {
        const char *name;
        int (*plan)(struct hook_context *context, struct hook_plan *plan, struct error *err);
        unsigned int kinds; /* of devices that it sees to */
} builtins[] = {
        { "10-aptfix.sh", hook_aptfix },         { "10-cgroups.sh", hook_cgroups },
        { "10-devices.sh", hook_devices },       { "10-home.sh", hook_home },
        { "10-localtime.sh", hook_localtime },   { "10-shadow.sh", hook_shadow },
        { "50-mig-config.sh", hook_mig_config }, { "50-sharp.sh", hook_sharp },
        { "50-slurm-pmi.sh", hook_slurm_pmi },   { "50-slurm-pytorch.sh", hook_slurm_pytorch },
        { "97-cdi.sh", hook_cdi },               { "98-amd.sh", hook_amd, GPU_KIND_AMD },
        { "98-nvidia.sh", hook_nvidia, GPU_KIND_NVIDIA },
        { "99-mellanox.sh", hook_mellanox, GPU_KIND_INFINIBAND },
};

/* One hook: a built-in one, or else a program. */
struct step {
        const struct builtin *builtin;
        char *path;
};

struct hooks {
        struct step *steps;
        size_t count;
        bool has_programs;
        const char *conf_path; /* borrowed */
        struct conf conf;
        struct exchange exchange;
};

static void release(struct hooks **hooks)
{
        if (*hooks)
                hooks_close(*hooks);
}

/* ---- finding ---- */

static int add_step(struct hooks *hooks, const struct builtin *builtin, const char *path)
{
        struct step *steps = reallocarray(hooks->steps, hooks->count + 1, sizeof(*steps));
        char *copy = path ? strdup(path) : NULL;

        if (steps)
                hooks->steps = steps;
        if (!steps || (path && !copy)) {
                free(copy);
                return -1;
        }
        hooks->has_programs |= path != NULL;
        steps[hooks->count++] = (struct step){ .builtin = builtin, .path = copy };
        return 0;
}

static int add_program(struct hooks *hooks, const char *dir, const char *name, struct error *err)
{
        auto_free char *path = path_join(dir, name);

        if (!path)
                return error_no_memory(err);
        if (faccessat(AT_FDCWD, path, X_OK, AT_EACCESS) < 0)
                return 0;
        return add_step(hooks, NULL, path) < 0 ? error_no_memory(err) : 0;
}

static int add_builtin(struct hooks *hooks, const struct builtin *builtin, const char *user_dir,
                       struct strlist *user_names, struct error *err)
{
        for (size_t i = 0; i < user_names->count; i++)
                if (strcmp(user_names->items[i], builtin->name) == 0) {
                        strlist_remove(user_names, i);
                        return add_program(hooks, user_dir, builtin->name, err);
                }
        return add_step(hooks, builtin, NULL) < 0 ? error_no_memory(err) : 0;
}

/* What comes first in the order of names: below 0 a built-in hook, 0 a file in its place. */
static int compare_next(size_t builtin, const struct strlist *names, size_t name)
{
        if (builtin == ARRAY_SIZE(builtins))
                return 1;
        if (name == names->count)
                return -1;
        return strcmp(builtins[builtin].name, names->items[name]);
}

static int find_all(struct hooks *hooks, const char *system_dir, const char *user_dir,
                    struct error *err)
{
        auto_strlist struct strlist names = STRLIST_INIT, user_names = STRLIST_INIT;
        size_t builtin = 0, name = 0;

        if (dropin_list(system_dir, ".sh", &names, err) < 0 ||
            dropin_list(user_dir, ".sh", &user_names, err) < 0)
                return -1;
        while (builtin < ARRAY_SIZE(builtins) || name < names.count) {
                int order = compare_next(builtin, &names, name);
                int result = order < 0 ? add_builtin(hooks, &builtins[builtin], user_dir,
                                                     &user_names, err)
                                       : add_program(hooks, system_dir, names.items[name], err);

                if (result < 0)
                        return -1;
                builtin += order <= 0;
                name += order >= 0;
        }
        for (size_t i = 0; i < user_names.count; i++)
                if (add_program(hooks, user_dir, user_names.items[i], err) < 0)
                        return -1;
        return 0;
}

struct hooks *hooks_find(const struct config *config, const char *conf, struct error *err)
{
        auto_free char *system_dir = path_join(config->sysconf_path, "hooks.d");
        auto_free char *user_dir = path_join(config->config_path, "hooks.d");
        auto_cleanup(release) struct hooks *hooks = calloc(1, sizeof(*hooks));

        if (!hooks || !system_dir || !user_dir) {
                error_no_memory(err);
                return NULL;
        }
        hooks->conf = (struct conf)CONF_INIT;
        hooks->conf_path = conf;
        hooks->has_programs = config->cdi_hooks;
        if (find_all(hooks, system_dir, user_dir, err) < 0)
                return NULL;
        return TAKE_PTR(hooks);
}

void hooks_close(struct hooks *hooks)
{
        conf_release(&hooks->conf);
        exchange_release(&hooks->exchange);
        for (size_t i = 0; i < hooks->count; i++)
                free(hooks->steps[i].path);
        free(hooks->steps);
        free(hooks);
}

/* ---- planning ---- */

static void plan_release(struct hook_plan *plan)
{
        mount_plan_release(&plan->now);
        change_list_release(&plan->changes);
        for (size_t i = 0; i < plan->device_program_count; i++)
                gpu_program_release(&plan->device_programs[i]);
        free(plan->device_programs);
        mount_plan_release(&plan->later);
}

/* Plan one hook and have it visited. */
static int visit_hook(const struct step *step, struct hook_context *context, hook_visit visit,
                      void *visit_context, struct error *err)
{
        auto_cleanup(plan_release) struct hook_plan plan = {
                .name = step->path ? step->path : step->builtin->name,
                .program = step->path != NULL,
        };

        if (step->builtin && step->builtin->plan(context, &plan, err) < 0)
                return -1;
        return visit(visit_context, &plan, err);
}

int hooks_for_each(const struct hooks *hooks, struct hook_context *context, hook_visit visit,
                   void *visit_context, struct error *err)
{
        context->native_kinds = 0;
        for (size_t i = 0; i < hooks->count; i++)
                if (hooks->steps[i].builtin)
                        context->native_kinds |= hooks->steps[i].builtin->kinds;
        for (size_t i = 0; i < hooks->count; i++) {
                const struct step *step = &hooks->steps[i];
                int tries = 0, result;

                do
                        result = visit_hook(step, context, visit, visit_context, err);
                while (result < 0 && err->code == EAGAIN && step->builtin && ++tries < PLAN_TRIES);
                if (result < 0)
                        return step->builtin ? error_prefix(err, "hook %s", step->builtin->name)
                                             : -1;
        }
        return 0;
}

int hook_plan_apply(const struct hook_plan *plan, const struct mount_root *root,
                    struct report *report, struct error *err)
{
        if (mount_plan_apply(&plan->now, root, 0, 0, report, err) < 0)
                return -1;
        return change_list_apply(&plan->changes, root->fd, report, err);
}

/* ---- programs ---- */

bool hooks_have_programs(const struct hooks *hooks)
{
        return hooks->has_programs || hooks->conf_path;
}

int hooks_open(struct hooks *hooks, const struct config *config, const char *directory,
               const char *rootfs, pid_t pid, char *const *command, struct error *err)
{
        if (exchange_open(&hooks->exchange, config, directory, rootfs, pid, err) < 0)
                return -1;
        if (!hooks->conf_path)
                return 0;
        return conf_open(&hooks->conf, hooks->conf_path, command, &hooks->exchange, err);
}

int hooks_run_program(struct hooks *hooks, const char *path, struct strlist *environment,
                      struct mount_plan *mounts, struct error *err)
{
        auto_close int null = open("/dev/null", O_WRONLY | O_CLOEXEC);
        char *const argv[] = { (char *)path, NULL };
        auto_process struct process process = PROCESS_INIT;
        int status;

        if (null < 0)
                return error_errno(err, "/dev/null");
        if (exchange_write(&hooks->exchange, environment, mounts, err) < 0)
                return -1;
        /* Its output would mix with that of the container's command. */
        if (process_start(&process, argv, hooks->exchange.variables.items, &null, 1, err) < 0 ||
            process_wait(&process, -1, &status, err) < 0)
                return error_prefix(err, "hook %s", path);
        if (status != 0)
                return process_failed(path, status, err);
        return exchange_read(&hooks->exchange, environment, mounts, path, err);
}

int hooks_run_device_programs(struct hooks *hooks, const struct hook_plan *plan,
                              struct error *err)
{
        for (size_t i = 0; i < plan->device_program_count; i++)
                if (oci_hook_run(&hooks->exchange, &plan->device_programs[i], err) < 0)
                        return -1;
        return 0;
}

/* Call a function of the start configuration if it is defined. */
static int call_function(struct hooks *hooks, enum conf_function function,
                         struct strlist *environment, struct mount_plan *mounts, struct error *err)
{
        auto_free char *name = NULL;

        if (!hooks->conf.defined[function])
                return 0;
        name = conf_function_name(&hooks->conf, function);
        if (!name)
                return error_no_memory(err);
        if (exchange_write(&hooks->exchange, environment, mounts, err) < 0 ||
            conf_call(&hooks->conf, function, err) < 0)
                return -1;
        return exchange_read(&hooks->exchange, environment, mounts, name, err);
}

int hooks_call_environ(struct hooks *hooks, struct strlist *environment, struct error *err)
{
        auto_mount_plan struct mount_plan none = MOUNT_PLAN_INIT;

        return call_function(hooks, CONF_ENVIRON, environment, &none, err);
}

int hooks_call_hooks(struct hooks *hooks, struct strlist *environment, struct mount_plan *mounts,
                     struct error *err)
{
        return call_function(hooks, CONF_HOOKS, environment, mounts, err);
}

int hooks_call_mounts(struct hooks *hooks, struct strlist *environment, struct mount_plan *mounts,
                      struct error *err)
{
        auto_mount_plan struct mount_plan added = MOUNT_PLAN_INIT;

        if (!hooks->conf.defined[CONF_MOUNTS])
                return 0;
        if (exchange_clear_mounts(&hooks->exchange, err) < 0 ||
            call_function(hooks, CONF_MOUNTS, environment, &added, err) < 0)
                return -1;
        return mount_plan_take(mounts, &added) < 0 ? error_no_memory(err) : 0;
}

int hooks_call_rc(struct hooks *hooks, struct strbuf *script, struct error *err)
{
        if (!hooks->conf.defined[CONF_RC])
                return 0;
        if (conf_call(&hooks->conf, CONF_RC, err) < 0 ||
            exchange_read_script(&hooks->exchange, RC_LIMIT, script, err) < 0)
                return -1;
        return 1;
}

/* ---- what built-in hooks share ---- */

const char *hook_setting(const struct hook_context *context, const char *name)
{
        return env_setting(&context->config->environment, context->environment, name);
}

int hook_set_default(struct hook_context *context, const char *name, const char *value,
                     struct error *err)
{
        if (env_get(context->environment, name))
                return 0;
        return env_set(context->environment, name, value) < 0 ? error_no_memory(err) : 0;
}
