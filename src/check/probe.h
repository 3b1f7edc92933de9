/*
 * A probe is one line of the report: a row of a table (table.c) with a function that
 * tries the feature. The function runs in a child of its own (runner.c), may leave that
 * in any state, and must change nothing outside of it.
 */
#pragma once

#include "check/check.h"
#include "check/kernel_config.h"
#include "host/host.h"

struct probe_context {
        const char *root; /* in front of /proc, /sys and /etc: "" but in tests */
        const struct config *config;
        struct host_distribution distribution;
        struct kernel_config kernel;
};

/* Fill in the rest of a context that has root and config. */
void probe_context_load(struct probe_context *context);
void probe_context_release(struct probe_context *context);
#define auto_probe_context auto_cleanup(probe_context_release)

/* What a probe says besides its result. Of fixed size: it comes back through a pipe. */
struct probe_answer {
        char detail[256];          /* what was found */
        char mend[HOST_MEND_SIZE]; /* of a failure */
        bool module;               /* works, through a module */
        bool harmless;             /* of a failure: optional even in a required row */
};

struct probe;

/*
 * 0: it works. PROBE_ABSENT: the machine has no such thing to look at, and there is no
 * line. -1 with *err: it does not work, and why.
 */
typedef int probe_function(const struct probe_context *context, const struct probe *probe,
                           struct probe_answer *answer, struct error *err);
#define PROBE_ABSENT 1

struct probe {
        const char *group, *name;
        probe_function *run;
        const char *subject; /* what run looks at, when several rows share it; may be NULL */
        bool required;       /* a failure is KO, else KO (optional) */
        const char *effect;  /* what does not work without it */
        const char *needs;   /* the name of a probe above without which this is not tried; NULL */
};

extern const struct probe probe_table[];
extern const size_t probe_count;

#define PROBE_LIMIT_MS 10000 /* a device or a network file system may hang for ever */

/* Fill a line by running the probe. Returns 0, PROBE_ABSENT, or -1 with *err without a child. */
int probe_run(const struct probe *probe, const struct probe_context *context, int limit_ms,
              struct check_line *ret, struct error *err);

/* ---- helpers for probes ---- */

/* Add to *err why the machine refuses a feature, and the mend to the answer. Returns -1. */
int probe_refused(const struct probe_context *context, enum host_feature feature,
                  struct probe_answer *answer, struct error *err);

/* Say what was found. Returns 0. */
int probe_found(struct probe_answer *answer, const char *fmt, ...)
        __attribute__((format(printf, 2, 3)));

/* Append a file below context->root to *text. Returns 0, or -1 with errno in *err. */
int probe_read(const struct probe_context *context, const char *path, struct strbuf *text,
               struct error *err);

/* Whether a file, by its path below context->root, is there. */
bool probe_exists(const struct probe_context *context, const char *path);

/* Whether /proc/modules lists it. */
bool probe_module_loaded(const struct probe_context *context, const char *module);

/* Enter a user namespace with one id mapped, as a start does; with root, to 0. */
int probe_enter_user(const struct probe_context *context, bool root, struct probe_answer *answer,
                     struct error *err);

/* Enter user and mount namespaces, with an empty memory file system as current directory. */
int probe_enter_scratch(const struct probe_context *context, struct probe_answer *answer,
                        struct error *err);

/* Wait for a child; whether it ended well. */
bool probe_wait(int pid);

/* ---- the probes, by topic ---- */

probe_function probe_kernel_version, probe_kernel_option, probe_kernel_file; /* kernel.c */
probe_function probe_command_line;
probe_function probe_user_namespace, probe_one_id, probe_namespace; /* namespaces.c */
probe_function probe_tmpfs, probe_proc, probe_overlay, probe_fuse;  /* mounts.c */
probe_function probe_mount_api, probe_openat2;
probe_function probe_subids, probe_container_start, probe_image_start;          /* start.c */
probe_function probe_seccomp, probe_pidfd, probe_vsyscall;                      /* process.c */
probe_function probe_sysctl_allows, probe_sysctl_restricts, probe_sysctl_shown; /* parameters.c */
probe_function probe_apparmor, probe_selinux, probe_lockdown, probe_outer_filter;
probe_function probe_no_new_privs;
probe_function probe_cgroup_version, probe_cgroup_delegation, probe_device_cgroup; /* cgroups.c */
probe_function probe_path, probe_path_space, probe_path_exec, probe_path_xattrs;   /* paths.c */
probe_function probe_nvidia_driver, probe_nvidia_devices, probe_nvidia_library;    /* devices.c */
probe_function probe_infiniband;
