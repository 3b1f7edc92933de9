/*
 * hooks/: the built-in hooks, one file each, in place of the scripts of the classic
 * tool. A hook only plans: it looks at the host and at the rootfs, and says which files
 * of the rootfs it wants changed and what mounted. Its plan is carried out, or printed.
 */
#pragma once

#include <sys/types.h>

#include "config/config.h"
#include "hooks/changes.h"
#include "mount/mount.h"
#include "util/error.h"
#include "util/report.h"
#include "util/root_view.h"
#include "util/strlist.h"

struct hook_context {
        const struct config *config;
        const struct root_view *view; /* the rootfs */
        uid_t uid, uid_outside; /* of the user inside the container and on the host */
        gid_t gid, gid_outside;

        bool all_ids;                 /* ids besides the user's are real, too */
        struct strlist *environment; /* of the container */
        struct report *report;
};

/* What one hook wants done, in this order. Hooks change the environment themselves. */
struct hook_plan {
        const char *name;           /* "10-shadow" */
        struct mount_plan now;      /* mounts that its changes and later hooks build on */
        struct change_list changes; /* to files of the rootfs */
        struct mount_plan later;    /* mounts for when all hooks are through */
};

/* What is done with each plan, which may be changed. Returns 0, or -1 with *err. */
typedef int (*hook_visit)(void *context, struct hook_plan *plan, struct error *err);

/*
 * Plan every built-in hook, in name order, each when the one before it was visited. A
 * visit that fails with EAGAIN gets a new plan. Returns 0, or -1 with *err that names
 * the hook.
 */
int hooks_for_each_builtin(struct hook_context *context, hook_visit visit, void *visit_context,
                           struct error *err);

/* Carry out a plan but for its later mounts. Returns 0, or -1 with *err. */
int hook_plan_apply(const struct hook_plan *plan, const struct mount_root *root,
                    struct report *report, struct error *err);

/* Whether a hook file of that name ("10-shadow.sh") only repeats what a built-in hook does. */
bool hooks_is_builtin(const char *name);

/* ---- account files as data, also for the login ---- */

/* Largest passwd, group, login.defs … of an image that is read, in bytes. */
#define ACCOUNT_FILE_LIMIT (4u << 20)

/* One line of passwd(5). Strings are owned. */
struct account {
        char *name, *gecos, *home, *shell;
        uid_t uid;
        gid_t gid;
};

void account_release(struct account *account);
#define auto_account auto_cleanup(account_release)

/* Find the first line with the uid in the text of a passwd file: 1, 0, or -1 without memory. */
int account_find(const char *passwd, uid_t uid, struct account *ret);

/*
 * The value of a key in the text of login.defs(5), useradd's defaults or
 * locale.conf(5): "KEY value" or KEY="value", the last definition counts. Never
 * evaluated. malloc'd; NULL when there is none (or no memory).
 */
char *login_setting(const char *text, const char *key);
