/*
 * hooks/: what adapts a container to the host before its command runs. The built-in hooks,
 * one file each, in place of the scripts of the classic tool; the programs of site and
 * user in hooks.d; the functions of a start configuration.
 *
 * A built-in hook only plans: it looks at the host and at the rootfs, and says which files
 * of the rootfs it wants changed and what mounted. Its plan is carried out, or printed.
 * Programs do what they like, with the user's rights outside.
 */
#pragma once

#include <stdbool.h>
#include <sys/types.h>

#include "config/config.h"
#include "gpu/gpu.h"
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
        bool superuser;               /* a real root, who stays one inside */
        const struct strlist *devices; /* --device words, or NULL */
        unsigned int native_kinds;    /* GPU_KIND_*: what built-in hooks see to; hooks_for_each's */
        bool private_dev;             /* /dev is planned to be the container's own */
        bool nvidia_is_there;         /* 97-cdi has planned it: not once more */
        struct strlist *environment; /* of the container */
        struct report *report;
};

/* What one hook wants done, in this order. Hooks change the environment themselves. */
struct hook_plan {
        const char *name;           /* "10-shadow.sh", or the path of a program */
        bool program;               /* it is one, and the plan is to run it */
        struct mount_plan now;      /* mounts that its changes and later hooks build on */
        struct change_list changes; /* to files of the rootfs */
        struct gpu_program *device_programs; /* of CDI files, to be run then */
        size_t device_program_count;
        struct mount_plan later;    /* mounts for when all hooks are through */
};

/* All hooks of one start, in order, and what its programs need. */
struct hooks;

/*
 * Find the hooks: the built-in ones and hooks.d/ *.sh of the system in the order of their
 * names, then hooks.d/ *.sh of the user. A file with the name of a built-in hook replaces
 * it and runs in its place; one that is not executable thus switches it off, and is
 * passed over otherwise.
 *
 * conf  path of a start configuration, or NULL; borrowed
 *
 * Returns what hooks_close releases, or NULL with *err.
 */
struct hooks *hooks_find(const struct config *config, const char *conf, struct error *err);
void hooks_close(struct hooks *hooks);

/* What is done with each plan, which may be changed. Returns 0, or -1 with *err. */
typedef int (*hook_visit)(void *context, struct hook_plan *plan, struct error *err);

/*
 * Plan every hook, in order, each when the one before it was visited. A visit that fails
 * with EAGAIN gets a new plan. Returns 0, or -1 with *err that names the hook.
 */
int hooks_for_each(const struct hooks *hooks, struct hook_context *context, hook_visit visit,
                   void *visit_context, struct error *err);

/* Carry out a plan but for its programs and later mounts. Returns 0, or -1 with *err. */
int hook_plan_apply(const struct hook_plan *plan, const struct mount_root *root,
                    struct report *report, struct error *err);

/* ---- programs ---- */

/* Whether there are programs to run, or a start configuration: they need hooks_open. */
bool hooks_have_programs(const struct hooks *hooks);

/*
 * Prepare for programs, and let bash read the start configuration.
 *
 * directory  where the files ENROOT_ENVIRON and ENROOT_MOUNTS are made; the container
 *            will not see it
 * rootfs     path of the mounted rootfs
 * pid        of the container, as the host sees it
 * command    of the container
 *
 * Returns 0, or -1 with *err.
 */
int hooks_open(struct hooks *hooks, const struct config *config, const char *directory,
               const char *rootfs, pid_t pid, char *const *command, struct error *err);

/*
 * Run a program, or a function of the start configuration if that is defined. Each sees
 * the container's environment and the mounts that are planned by then, and adds to them
 * or changes them. Returns 0, or -1 with *err that names it.
 */
int hooks_run_program(struct hooks *hooks, const char *path, struct strlist *environment,
                      struct mount_plan *mounts, struct error *err);
int hooks_call_environ(struct hooks *hooks, struct strlist *environment, struct error *err);
int hooks_call_hooks(struct hooks *hooks, struct strlist *environment, struct mount_plan *mounts,
                     struct error *err);

/*
 * Run the programs of a plan that CDI files name, as an OCI runtime runs hooks: the state
 * of the container on standard input. Returns 0, or -1 with *err that names the program.
 */
int hooks_run_device_programs(struct hooks *hooks, const struct hook_plan *plan,
                              struct error *err);

/*
 * Append what mounts() of the start configuration prints to a plan. The mounts that the
 * functions above have seen are carried out by now.
 */
int hooks_call_mounts(struct hooks *hooks, struct strlist *environment, struct mount_plan *mounts,
                      struct error *err);

/* Append what rc() consists of to *script. Returns 1 when it is defined, 0, or -1 with *err. */
int hooks_call_rc(struct hooks *hooks, struct strbuf *script, struct error *err);

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
