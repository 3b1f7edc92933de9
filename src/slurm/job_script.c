/*
 * Prolog and epilog: a process of root's for each. What it is told of the job is the job's
 * number and user; nothing of the job's environment is used. A failure here would drain the
 * node, so it is only logged.
 */
#include <errno.h>
#include <limits.h>
#include <pwd.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "env/env.h"
#include "slurm/contexts.h"
#include "slurm/program.h"
#include "slurm/settings.h"

#define ACCOUNT_SIZE (64u << 10) /* bytes of an account's entry */

/* The environment of a login, from the account alone. Returns 0, or -1 with *err. */
static int make_environment(uid_t uid, const struct settings *settings, struct strlist *ret,
                            struct error *err)
{
        auto_free char *buffer = malloc(ACCOUNT_SIZE);
        struct passwd account, *found = NULL;
        char runtime[PATH_MAX + 16];

        if (!buffer)
                return error_no_memory(err);
        if (getpwuid_r(uid, &account, buffer, ACCOUNT_SIZE, &found) != 0 || !found)
                return error_set(err, ENOENT, "no account of user %u", uid);
        (void)snprintf(runtime, sizeof(runtime), "%s/%u", settings->runtime_path, uid);
        if (env_set(ret, "PATH", program_search_path()) < 0 ||
            env_set(ret, "HOME", account.pw_dir) < 0 ||
            env_set(ret, "USER", account.pw_name) < 0 ||
            env_set(ret, "XDG_RUNTIME_DIR", runtime) < 0)
                return error_no_memory(err);
        return 0;
}

static int clean(uid_t uid, gid_t gid, uint32_t job, const struct settings *settings,
                 struct error *err)
{
        auto_strlist struct strlist arguments = STRLIST_INIT, environment = STRLIST_INIT;
        const struct program program = {
                .path = settings->enroot,
                .arguments = &arguments,
                .environment = &environment,
                .uid = uid,
                .gid = gid,
                .groups = &gid,
                .group_count = 1,
                .input = -1,
        };
        char number[16];

        (void)snprintf(number, sizeof(number), "%u", job);
        if (strlist_append(&arguments, "--clean") < 0 || strlist_append(&arguments, number) < 0 ||
            (settings->job_scope && strlist_append(&arguments, "--named") < 0))
                return error_no_memory(err);
        if (make_environment(uid, settings, &environment, err) < 0)
                return -1;
        return program_run(&program, err);
}

int job_script_epilog(spank_t spank, int argc, char **argv)
{
        struct settings settings;
        struct error err = ERROR_INIT;
        uint32_t job;
        uid_t uid;
        gid_t gid;

        if (settings_parse(&settings, argc, argv) < 0)
                return 0;
        if (spank_get_item(spank, S_JOB_UID, &uid) != ESPANK_SUCCESS ||
            spank_get_item(spank, S_JOB_GID, &gid) != ESPANK_SUCCESS ||
            spank_get_item(spank, S_JOB_ID, &job) != ESPANK_SUCCESS)
                slurm_error("pyxis: epilog: couldn't get the job's user and number");
        else if (clean(uid, gid, job, &settings, &err) < 0)
                slurm_error("pyxis: epilog: couldn't remove the containers of job %u: %s", job,
                            err.message);
        return 0;
}
