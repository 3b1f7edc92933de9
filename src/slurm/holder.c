#include "slurm/holder.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "env/env.h"
#include "slurm/options.h"
#include "slurm/program.h"
#include "util/cleanup.h"

#define PYXIS_VERSION "0.24.0" /* whose importers and hooks of sites find what they expect */
#define BATCH_STEP 0xfffffffbu /* SLURM_BATCH_SCRIPT, which is in slurm.h since 21.08 */

/* ---- environment ---- */

/* What is not the user's to decide, or another thing for each task. */
static bool is_denied(const char *variable)
{
        static const char *const names[] = {
                "PATH",
                "LD_LIBRARY_PATH",
                "LD_PRELOAD",
                "LD_AUDIT",
                "XDG_RUNTIME_DIR",
                "SLURM_PROCID",
                "SLURM_LOCALID",
                "SLURM_TASK_PID",
                "PMIX_RANK",
                "PMI_RANK",
                "PMI_FD",
                "ENROOT_LIBRARY_PATH",
                "ENROOT_SYSCONF_PATH",
                "ENROOT_RUNTIME_PATH",
                "ENROOT_CACHE_PATH",
                "ENROOT_DATA_PATH",
                "ENROOT_TEMP_PATH",
                "ENROOT_ZSTD_OPTIONS",
                "ENROOT_TRANSFER_RETRIES",
                "ENROOT_CONNECT_TIMEOUT",
                "ENROOT_MAX_CONNECTIONS",
                "ENROOT_ALLOW_HTTP",
        };
        size_t length = strcspn(variable, "=");

        for (size_t i = 0; i < ARRAY_SIZE(names); i++)
                if (strlen(names[i]) == length && strncmp(variable, names[i], length) == 0)
                        return true;
        return false;
}

static const char *choice_text(enum choice choice)
{
        return choice == CHOICE_NONE ? NULL : choice == CHOICE_YES ? "y" : "n";
}

/* What the step and its options say. Returns 0, or -1 without memory. */
static int add_decided(const struct settings *settings, const struct step_facts *facts,
                       struct strlist *ret)
{
        const struct options *options = options_get();
        char uid[16], gid[16];
        const struct {
                const char *name, *value; /* NULL: the job's */
        } list[] = {
                { "PATH", program_search_path() },
                { "XDG_RUNTIME_DIR", facts->runtime_dir },
                { "PYXIS_RUNTIME_PATH", settings->runtime_path },
                { "PYXIS_VERSION", PYXIS_VERSION },
                { "SLURM_JOB_UID", uid },
                { "SLURM_JOB_GID", gid },
                { "ENROOT_MOUNT_HOME", choice_text(options->mount_home) },
                { "ENROOT_REMAP_ROOT", choice_text(options->remap_root) },
                { "ENROOT_ROOTFS_WRITABLE", choice_text(options->writable) },
                { "ENROOT_UNSHARE_NET", options->unshare_net ? "y" : NULL },
                { "ENROOT_UNSHARE_IPC", options->unshare_ipc ? "y" : NULL },
                { "ENROOT_UNSHARE_UTS", options->unshare_uts ? "y" : NULL },
        };

        (void)snprintf(uid, sizeof(uid), "%u", facts->uid);
        (void)snprintf(gid, sizeof(gid), "%u", facts->gid);
        for (size_t i = 0; i < ARRAY_SIZE(list); i++)
                if (list[i].value && env_set(ret, list[i].name, list[i].value) < 0)
                        return -1;
        return 0;
}

/* Whether one of the list's first items defines the same variable. */
static bool is_decided(const struct strlist *list, size_t count, const char *variable)
{
        size_t length = strcspn(variable, "=") + 1;

        for (size_t i = 0; i < count; i++)
                if (strncmp(list->items[i], variable, length) == 0)
                        return true;
        return false;
}

int holder_environment(spank_t spank, const struct settings *settings,
                       const struct step_facts *facts, struct strlist *ret, struct error *err)
{
        char **job = NULL;
        size_t decided;

        if (spank_get_item(spank, S_JOB_ENV, &job) != ESPANK_SUCCESS || !job)
                return error_set(err, EINVAL, "couldn't get the job's environment");
        if (add_decided(settings, facts, ret) < 0)
                return error_no_memory(err);
        decided = ret->count;
        for (; *job; job++)
                if (!is_denied(*job) && !is_decided(ret, decided, *job) &&
                    strlist_append(ret, *job) < 0)
                        return error_no_memory(err);
        return 0;
}

/* ---- arguments ---- */

static int add_words(struct strlist *list, const char *option, const char *value)
{
        return strlist_append(list, option) < 0 || strlist_append(list, value) < 0 ? -1 : 0;
}

static int add_text(struct strlist *list, const char *option, const char *value)
{
        return value ? add_words(list, option, value) : 0;
}

static int add_flag(struct strlist *list, const char *option, bool flag)
{
        return flag ? strlist_append(list, option) : 0;
}

static int add_list(struct strlist *list, const char *option, const struct strlist *values)
{
        for (size_t i = 0; i < values->count; i++)
                if (add_words(list, option, values->items[i]) < 0)
                        return -1;
        return 0;
}

/* The script of sbatch lies in slurmd's spool directory. */
static int add_script(spank_t spank, const struct step_facts *facts, struct strlist *list)
{
        auto_free char *word = NULL;
        char **argv = NULL;
        int argc = 0;

        if (facts->step != BATCH_STEP)
                return 0;
        if (spank_get_item(spank, S_JOB_ARGV, &argc, &argv) != ESPANK_SUCCESS || argc < 1)
                return -1;
        if (asprintf(&word, "%s:%s:none:x-create=file,bind,ro,nosuid,nodev,private", argv[0],
                     argv[0]) < 0) {
                word = NULL; /* undefined after a failure */
                return -1;
        }
        return add_words(list, "--mount", word);
}

/* malloc'd; NULL without memory. */
static char *make_name(const struct settings *settings, const struct step_facts *facts)
{
        const struct options *options = options_get();
        char scope[16] = "", *name = NULL;
        int length;

        if (settings->job_scope)
                (void)snprintf(scope, sizeof(scope), "%u_", facts->job);
        length = options->name ? asprintf(&name, "pyxis_%s%s", scope, options->name)
                               : asprintf(&name, "pyxis_%s%u.%u", scope, facts->job, facts->step);
        return length < 0 ? NULL : name;
}

bool step_has_peers(const struct settings *settings, const struct step_facts *facts)
{
        return settings->transfer && *facts->secret && facts->nodes > 1;
}

/* Where the node is in its step. */
static int add_place(const struct settings *settings, const struct step_facts *facts,
                     struct strlist *list)
{
        char step[32], node[16], nodes[16];

        if (!step_has_peers(settings, facts))
                return 0;
        (void)snprintf(step, sizeof(step), "%u.%u", facts->job, facts->step);
        (void)snprintf(node, sizeof(node), "%u", facts->node);
        (void)snprintf(nodes, sizeof(nodes), "%u", facts->nodes);
        return add_words(list, "--step", step) < 0 || add_words(list, "--node", node) < 0 ||
                               add_words(list, "--nodes", nodes) < 0
                       ? -1
                       : add_words(list, "--ports", settings->transfer_ports);
}

int holder_arguments(spank_t spank, const struct settings *settings,
                     const struct step_facts *facts, struct strlist *ret, struct error *err)
{
        const struct options *options = options_get();
        auto_free char *name = make_name(settings, facts);
        bool entrypoint = options->entrypoint == CHOICE_YES ||
                          (options->entrypoint == CHOICE_NONE && settings->execute_entrypoint);
        char tasks[16], job[16];

        (void)snprintf(tasks, sizeof(tasks), "%u", facts->local_tasks);
        (void)snprintf(job, sizeof(job), "%u", facts->job);
        if (!name || add_text(ret, "--image", options->image) < 0 ||
            add_text(ret, "--name", name) < 0 || add_text(ret, "--job", job) < 0 ||
            add_flag(ret, "--named", settings->job_scope) < 0 ||
            add_text(ret, "--rule", options->rule) < 0 ||
            add_text(ret, "--directory", options->directory) < 0 ||
            add_text(ret, "--save", options->save) < 0 || add_text(ret, "--tasks", tasks) < 0 ||
            add_flag(ret, "--temporary", !options->name) < 0 ||
            add_flag(ret, "--extract", !settings->use_squashfuse) < 0 ||
            add_flag(ret, "--load", settings->use_enroot_load) < 0 ||
            add_text(ret, "--importer", *settings->importer ? settings->importer
                                                                 : NULL) < 0 ||
            add_flag(ret, "--entrypoint", entrypoint) < 0 ||
            add_flag(ret, "--entrypoint-log", options->entrypoint_log == CHOICE_YES) < 0 ||
            /* Of many tasks, nobody wants to read it; a batch step has 0 in total. */
            add_flag(ret, "--announce", facts->total_tasks <= 1) < 0 ||
            add_list(ret, "--mount", &options->mounts) < 0 ||
            add_list(ret, "--env", &options->env) < 0 || add_place(settings, facts, ret) < 0 ||
            add_script(spank, facts, ret) < 0)
                return error_no_memory(err);
        return 0;
}
