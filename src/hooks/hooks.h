/*
 * hooks/: the built-in hooks, one file each, in place of the scripts of the classic
 * tool. A hook only reads the host and writes below the rootfs, adds to the mount
 * plan and to the environment; it starts no process.
 */
#pragma once

#include <sys/types.h>

#include "config/config.h"
#include "mount/mount.h"
#include "util/error.h"
#include "util/report.h"
#include "util/strlist.h"

struct hook_context {
        const struct config *config;
        struct mount_root root; /* the mounted rootfs, still writable */
        uid_t uid, uid_outside; /* of the user inside the container and on the host */
        gid_t gid, gid_outside;
        struct mount_plan *mounts;   /* carried out after all hooks */
        struct strlist *environment; /* of the container */
        struct report *report;
};

/* Run every built-in hook in name order. Returns 0, or -1 with *err that names the hook. */
int hooks_run_builtin(struct hook_context *context, struct error *err);

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
