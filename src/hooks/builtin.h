/*
 * The built-in hooks and what they share. Each adds to a plan, and returns 0, or -1 with
 * *err.
 */
#pragma once

#include "gpu/gpu.h"
#include "hooks/hooks.h"

int hook_amd(struct hook_context *context, struct hook_plan *plan, struct error *err);
int hook_aptfix(struct hook_context *context, struct hook_plan *plan, struct error *err);
int hook_cdi(struct hook_context *context, struct hook_plan *plan, struct error *err);
int hook_cgroups(struct hook_context *context, struct hook_plan *plan, struct error *err);
int hook_devices(struct hook_context *context, struct hook_plan *plan, struct error *err);
int hook_home(struct hook_context *context, struct hook_plan *plan, struct error *err);
int hook_localtime(struct hook_context *context, struct hook_plan *plan, struct error *err);
int hook_mellanox(struct hook_context *context, struct hook_plan *plan, struct error *err);
int hook_mig_config(struct hook_context *context, struct hook_plan *plan, struct error *err);
int hook_shadow(struct hook_context *context, struct hook_plan *plan, struct error *err);
int hook_nvidia(struct hook_context *context, struct hook_plan *plan, struct error *err);
int hook_sharp(struct hook_context *context, struct hook_plan *plan, struct error *err);
int hook_slurm_pmi(struct hook_context *context, struct hook_plan *plan, struct error *err);
int hook_slurm_pytorch(struct hook_context *context, struct hook_plan *plan, struct error *err);

/*
 * A variable that both may set: the host's counts, as its user's last word; empty and
 * unset are the same. NULL when neither does.
 */
const char *hook_setting(const struct hook_context *context, const char *name);

/* What gpu/ must know of the container. roots are borrowed, and may still be empty. */
struct gpu_request hook_gpu_request(const struct hook_context *context,
                                    const struct gpu_roots *roots);

/*
 * Plan a /dev of the container's own instead of the host's: without the nodes of kinds of
 * devices (GPU_KIND_*), or with ENROOT_RESTRICT_DEV with the harmless ones only.
 */
int hook_private_dev(struct hook_context *context, unsigned int kinds, struct hook_plan *plan,
                     struct error *err);

/*
 * Put an injection into a plan and into the container's environment; mounts get the origin.
 * Warnings are reported.
 */
int hook_inject(struct hook_context *context, struct hook_plan *plan,
                struct gpu_injection *injection, const char *origin, struct error *err);

/* Define a variable of the container unless it has one. Returns 0, or -1 with *err. */
int hook_set_default(struct hook_context *context, const char *name, const char *value,
                     struct error *err);

/*
 * The user on the host, by number alone: from /etc/passwd, else from the name
 * service, else made up from the environment. 0, or -1 without memory.
 */
int hook_host_account(const struct hook_context *context, struct account *ret, struct error *err);

/* The name of his group, found the same way. malloc'd, or NULL without memory. */
char *hook_host_group(const struct hook_context *context, const char *user);

/* ---- pure parts, for tests ---- */

/*
 * Entries for the cgroups of a process.
 *
 * cgroup     text of /proc/PID/cgroup
 * mountinfo  text of /proc/PID/mountinfo
 * up         levels to go up from the process's own cgroup
 */
int cgroups_plan(const char *cgroup, const char *mountinfo, unsigned int up,
                 struct mount_plan *plan);

/*
 * A passwd or group file with the given lines (no newline in them) in front and
 * older lines of the same names left out, and of _apt unless it is kept.
 */
int shadow_merge(const char *old, const struct strlist *lines, bool keep_apt,
                 struct strbuf *merged);

/*
 * The first name of a Slurm host list ("rack[1-2]node[03,07-09],login"): the first
 * number of each bracket. malloc'd, or NULL without memory.
 */
char *slurm_first_host(const char *list);

/*
 * Copy a directory of the rootfs into a directory: links are followed inside the
 * root, owners are the user, modes and times are kept.
 */
int skel_copy(int root_fd, const char *source, int target_fd, struct error *err);

/*
 * Make the directory parent_fd/name with what the skeleton holds, in one step: starts of
 * the same container at the same time see none or the whole of it. One of them makes it;
 * a name that is there already is left alone.
 */
int skel_make_home(int root_fd, const char *skel, int parent_fd, const char *name, mode_t mode,
                   struct error *err);
