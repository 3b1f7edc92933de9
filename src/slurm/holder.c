#include "slurm/holder.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "slurm/options.h"
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

static int add(struct strlist *list, const char *name, const char *value)
{
        char *item = NULL;

        if (asprintf(&item, "%s=%s", name, value) < 0)
                return -1;
        return strlist_append_owned(list, item);
}

/* The last one counts. */
static int add_choice(struct strlist *list, const char *name, enum choice choice)
{
        return choice == CHOICE_NONE ? 0 : add(list, name, choice == CHOICE_YES ? "y" : "n");
}

/* Whether an option sets the variable. */
static bool is_decided(const char *variable)
{
        const struct options *options = options_get();
        const struct {
                const char *start;
                bool decided;
        } list[] = {
                { "ENROOT_MOUNT_HOME=", options->mount_home != CHOICE_NONE },
                { "ENROOT_REMAP_ROOT=", options->remap_root != CHOICE_NONE },
                { "ENROOT_ROOTFS_WRITABLE=", options->writable != CHOICE_NONE },
                { "ENROOT_UNSHARE_NET=", options->unshare_net },
                { "ENROOT_UNSHARE_IPC=", options->unshare_ipc },
                { "ENROOT_UNSHARE_UTS=", options->unshare_uts },
                { "PYXIS_RUNTIME_PATH=", true },
                { "PYXIS_VERSION=", true },
                { "SLURM_JOB_UID=", true },
                { "SLURM_JOB_GID=", true },
        };

        for (size_t i = 0; i < ARRAY_SIZE(list); i++)
                if (list[i].decided &&
                    strncmp(variable, list[i].start, strlen(list[i].start)) == 0)
                        return true;
        return false;
}

int holder_environment(spank_t spank, const struct settings *settings,
                       const struct step_facts *facts, struct strlist *ret, struct error *err)
{
        const struct options *options = options_get();
        const char *path = getenv("PATH");
        char uid[16], gid[16], **job = NULL;

        (void)snprintf(uid, sizeof(uid), "%u", facts->uid);
        (void)snprintf(gid, sizeof(gid), "%u", facts->gid);
        if (spank_get_item(spank, S_JOB_ENV, &job) != ESPANK_SUCCESS || !job)
                return error_set(err, EINVAL, "couldn't get the job's environment");
        for (; *job; job++)
                if (!is_denied(*job) && !is_decided(*job) && strlist_append(ret, *job) < 0)
                        return error_no_memory(err);
        if (add(ret, "PATH", path ? path : "/usr/local/bin:/usr/bin:/bin") < 0 ||
            add(ret, "XDG_RUNTIME_DIR", facts->runtime_dir) < 0 ||
            add(ret, "PYXIS_RUNTIME_PATH", settings->runtime_path) < 0 ||
            add(ret, "PYXIS_VERSION", PYXIS_VERSION) < 0 || add(ret, "SLURM_JOB_UID", uid) < 0 ||
            add(ret, "SLURM_JOB_GID", gid) < 0 ||
            add_choice(ret, "ENROOT_MOUNT_HOME", options->mount_home) < 0 ||
            add_choice(ret, "ENROOT_REMAP_ROOT", options->remap_root) < 0 ||
            add_choice(ret, "ENROOT_ROOTFS_WRITABLE", options->writable) < 0 ||
            (options->unshare_net && add(ret, "ENROOT_UNSHARE_NET", "y") < 0) ||
            (options->unshare_ipc && add(ret, "ENROOT_UNSHARE_IPC", "y") < 0) ||
            (options->unshare_uts && add(ret, "ENROOT_UNSHARE_UTS", "y") < 0))
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
