/*
 * 10-home: the user's home directory of the host inside the container (MOUNT_HOME).
 *
 * Recursive, unlike the classic hook: a home with another file system below it
 * cannot be bound without it in a user namespace (EINVAL, mount_namespaces(7)).
 */
#include <string.h>
#include <sys/mount.h>

#include "env/env.h"
#include "hooks/builtin.h"

int hook_home(struct hook_context *context, struct hook_plan *plan, struct error *err)
{
        auto_account struct account account = { .name = NULL };
        const char *home = env_get(&context->config->environment, "HOME");
        struct mount_entry entry = {
                .bind = true,
                .recursive = true,
                .attr_set = MS_NOSUID,
                .create = MOUNT_CREATE_DIR,
                .origin = (char *)"10-home",
        };

        if (!context->config->mount_home)
                return 0;
        if (!home || !*home) {
                if (hook_host_account(context, &account, err) < 0)
                        return -1;
                home = account.home;
        }
        /* A service account's "/" would put the whole host over the container. */
        if (*home != '/' || strspn(home, "/") == strlen(home)) {
                report_warn(context->report, "the home directory \"%s\" is not mounted", home);
                return 0;
        }
        entry.source = (char *)home;
        entry.target = context->config->remap_root ? (char *)"/root" : (char *)home;
        if (mount_plan_append(&plan->later, &entry) < 0 ||
            env_set(context->environment, "HOME", entry.target) < 0)
                return error_no_memory(err);
        return 0;
}
