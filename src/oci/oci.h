/*
 * oci/: containers as the OCI runtime specification has them (github.com/opencontainers/
 * runtime-spec, version 1.2): a bundle's config.json becomes a plan, a process that waits
 * for "start", and a directory of state that other commands find it by.
 *
 * Nothing stays behind to watch a container: its first process is the one that "create"
 * left, and whoever reaps orphans there (conmon, slurmstepd) gets its exit status.
 */
#pragma once

#include <sched.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/types.h>

#include "mount/mount.h"
#include "runtime/runtime.h"
#include "util/error.h"
#include "util/json.h"
#include "util/report.h"
#include "util/strbuf.h"
#include "util/strlist.h"

#define OCI_VERSION_MIN "1.0.0"
#define OCI_VERSION_MAX "1.2.0"

/* ---- config.json (spec*.c; pure) ---- */

/* Limits on a configuration. */
#define OCI_CONFIG_LIMIT (4u << 20) /* bytes */
#define OCI_GROUPS_LIMIT 65536u     /* NGROUPS_MAX of Linux */
#define OCI_LIST_LIMIT   16384u     /* items of any other list */

/* capabilities(7) as bit sets. */
struct oci_capabilities {
        uint64_t bounding, effective, inheritable, permitted, ambient;
};

struct oci_rlimit {
        int resource;
        const char *name; /* "RLIMIT_NOFILE" */
        struct rlimit limit;
};

/* sched_setattr(2) */
struct oci_scheduler {
        bool given;
        uint32_t policy, priority;
        int32_t nice;
        uint64_t flags, runtime, deadline, period;
};

struct oci_cpus {
        bool given;
        cpu_set_t set;
};

struct oci_process {
        bool terminal, no_new_privileges, has_umask, has_oom_score;
        unsigned short rows, columns; /* of the terminal; 0: unknown */
        uid_t uid;
        gid_t gid;
        mode_t umask;
        gid_t *groups;
        size_t group_count;
        struct strlist args, env;
        char *cwd;
        struct oci_capabilities capabilities;
        struct oci_rlimit rlimits[RLIM_NLIMITS];
        size_t rlimit_count;
        int oom_score;
        char *apparmor_profile, *selinux_label; /* NULL: none */
        struct strlist ignored;                 /* capabilities that are not known */
        struct oci_scheduler scheduler;
        int io_priority;                          /* as ioprio_set(2) takes it; 0: none */
        struct oci_cpus initial_cpus, final_cpus; /* of "exec", before and in the cgroup */
};

enum oci_hook_kind {
        OCI_PRESTART,
        OCI_CREATE_RUNTIME,
        OCI_CREATE_CONTAINER,
        OCI_START_CONTAINER,
        OCI_POSTSTART,
        OCI_POSTSTOP,
        OCI_HOOK_KINDS,
};

struct oci_hook {
        char *path;
        struct strlist args, env;
        int timeout; /* seconds; 0: none */
};

struct oci_hooks {
        struct oci_hook *items;
        size_t count;
};

struct oci_device {
        char *path;
        char type; /* 'c', 'u', 'b', 'p' */
        unsigned int major, minor;
        mode_t mode;
        uid_t uid;
        gid_t gid;
};

/* Kinds of namespaces; oci_namespaces has what the kernel calls them. */
enum oci_namespace {
        OCI_NS_USER,
        OCI_NS_PID,
        OCI_NS_CGROUP,
        OCI_NS_MOUNT,
        OCI_NS_IPC,
        OCI_NS_UTS,
        OCI_NS_NETWORK,
        OCI_NS_TIME,
        OCI_NS_COUNT,
};

extern const struct oci_namespace_kind {
        const char *name; /* in config.json */
        const char *file; /* below /proc/PID/ns */
        int flag;         /* CLONE_NEW* */
} oci_namespaces[OCI_NS_COUNT];

/* Limits as files of cgroups with what is written to them, "pids.max=10". */
struct oci_resources {
        struct strlist unified; /* of version 2 */
        struct strlist legacy;  /* of version 1, where the word before the dot is the controller */
};

void oci_resources_release(struct oci_resources *resources);
#define auto_oci_resources auto_cleanup(oci_resources_release)

/*
 * linux.resources alone, as "update" takes it. Appends to *ret. Returns 0, or -1 with *err
 * naming the member.
 */
int oci_resources_parse(const char *text, size_t length, struct oci_resources *ret,
                        struct error *err);

/* A mount whose files have other owners in it. */
struct oci_mount_map {
        size_t entry; /* which one of the plan */
        struct id_map uids, gids;
        bool recursive;
};

struct oci_spec {
        struct json_node *document; /* owns what seccomp refers to */
        char *version;
        bool has_process;
        struct oci_process process;
        char *rootfs; /* absolute */
        bool read_only;
        char *hostname, *domainname; /* NULL: left as they are */
        struct mount_plan mounts;
        struct oci_mount_map *mount_maps; /* in the order of the entries */
        size_t mount_map_count;
        char *mount_label; /* SELinux; NULL: none */
        struct oci_hooks hooks[OCI_HOOK_KINDS];
        struct strlist annotations; /* key, value, key, value … */

        int new_namespaces;              /* CLONE_NEW* */
        char *namespaces[OCI_NS_COUNT];  /* paths of those to join, or NULL */
        struct id_map uids, gids;        /* no ranges: none given */
        char *time_offsets;              /* lines of /proc/PID/timens_offsets; NULL: none */
        bool has_personality;
        uint64_t personality;            /* as personality(2) takes it */
        struct strlist masked, unwritable;
        unsigned long propagation;       /* of the root, MS_SLAVE …; 0: none given */
        struct strlist sysctl;           /* "kernel.msgmax=1", dots and all */
        struct oci_device *devices;
        size_t device_count;
        char *cgroup;                    /* cgroupsPath, or NULL */
        struct oci_resources resources;
        struct strlist ignored;          /* what is asked for that nothing here does */
        const struct json_node *seccomp; /* NULL: none */
};

/*
 * Parse config.json. bundle is the absolute path of its directory, which relative paths
 * start from. Returns 0, or -1 with *err (EINVAL, EBADMSG) naming the member.
 */
int oci_spec_parse(const char *text, size_t length, const char *bundle, struct oci_spec *ret,
                   struct error *err);
void oci_spec_release(struct oci_spec *spec);
#define auto_oci_spec auto_cleanup(oci_spec_release)

/* A process alone, as "exec --process" takes it. Returns as oci_spec_parse. */
int oci_process_parse(const char *text, size_t length, struct oci_process *ret, struct error *err);
void oci_process_release(struct oci_process *process);
#define auto_oci_process auto_cleanup(oci_process_release)

/* The number of a capability ("CAP_CHOWN"), or -1; the name of one, or NULL past the last. */
int oci_capability_number(const char *name);
const char *oci_capability_name(unsigned int number);

/* The number of a signal ("15", "TERM", "SIGTERM", in small letters, too), or -1. */
int oci_signal_number(const char *word);

/* Whether a container may have this name. */
bool oci_id_valid(const char *id);

/* ---- seccomp.c ---- */

/* A filter as the kernel takes it. */
struct oci_filter {
        void *instructions; /* struct sock_filter */
        unsigned short count;
        unsigned int flags; /* SECCOMP_FILTER_FLAG_* */
        bool notifies;      /* calls are put before whoever listens at a socket */
        char *listener_path, *listener_metadata; /* or NULL */
};

#define OCI_FILTER_INIT { .instructions = NULL }
void oci_filter_release(struct oci_filter *filter);
#define auto_oci_filter auto_cleanup(oci_filter_release)

/* Compile linux.seccomp with libseccomp, which is loaded for it. Returns 0, or -1 with *err. */
int oci_filter_compile(const struct json_node *seccomp, struct oci_filter *ret, struct error *err);

/* ---- state.c: ROOT/ID/ ---- */

enum oci_status {
        OCI_CREATING,
        OCI_CREATED,
        OCI_RUNNING,
        OCI_PAUSED,
        OCI_STOPPED,
};

extern const char *const oci_status_names[];

/*
 * One container. On the disk: "state.json", complete or absent; "config.json", a copy of
 * the bundle's; "start", the socket that its process waits at; "lock", where the process
 * that creates it and the one that waits each hold a lock (fcntl(2), F_OFD_SETLK), which
 * the kernel takes back when they end or execute something else. The status is read off
 * processes and locks and written nowhere, so nothing that is killed can leave a wrong
 * one, nor can a reboot: process ids count with their start time and the boot's id.
 */
struct oci_state {
        int dir_fd, lock_fd;
        char *id, *bundle, *rootfs, *version, *owner;
        char *created;      /* RFC 3339 */
        struct strlist cgroups; /* controller, directory, controller … (cgroup.h) */
        struct strlist annotations;
        bool own_keyring;   /* not the session keyring of its creator */
        pid_t pid;
        uint64_t start;     /* clock ticks after boot */
        enum oci_status status;
};

#define OCI_STATE_INIT { .dir_fd = -1, .lock_fd = -1 }
void oci_state_release(struct oci_state *state);
#define auto_oci_state auto_cleanup(oci_state_release)

/*
 * Open ROOT, made if it is not there. A descriptor that the caller closes, or -1 with *err.
 *
 * Root that looks at a user's containers, as Slurm's daemons do, becomes that user first:
 * what is written there, processes to kill and hooks to run, is the user's word.
 */
int oci_root_open(const char *root, struct error *err);

/* The same without making it: ENOENT when there never was a container. */
int oci_root_find(const char *root, struct error *err);

/* Find a container. Returns 0, or -1 with *err (ENOENT). */
int oci_state_load(int root_fd, const char *id, struct oci_state *ret, struct error *err);

/* The same below ROOT. Returns a descriptor of that, which the caller closes, or -1 with *err. */
int oci_state_open(const char *root, const char *id, struct oci_state *ret, struct error *err);

/* What it is doing now. */
enum oci_status oci_state_status(struct oci_state *state);

/* Append the ids of all containers to *ids, sorted. Returns 0, or -1 with *err. */
int oci_state_ids(int root_fd, struct strlist *ids, struct error *err);

/* Append the state as JSON, the specification's members only or, with all, ours, too. */
int oci_state_print(const struct oci_state *state, bool all, struct strbuf *text,
                    struct error *err);

/* ---- the commands ---- */

struct oci_create {
        const char *root, *id, *bundle;
        const char *config;                    /* another file than the bundle's; or NULL */
        const char *pid_file, *console_socket; /* NULL: none */
        const char *path;                      /* PATH, to look for newuidmap in; or NULL */
        bool subids;      /* a bundle without a user namespace gets the subordinate ids */
        bool foreground;  /* for "run": the container ends with this process */
        bool keep;        /* with foreground: it is not deleted at its end */
        bool no_cgroup;   /* it stays in those of the creator */
        bool no_pivot;    /* the root of the machine is one that pivot_root(2) does not take */
        bool keep_keyring; /* it has the session keyring of the creator */
        int preserve_fds; /* so many descriptors from 3 on stay open */
        int listen_fds;   /* so many of them are what LISTEN_FDS means */
};

/* Create a container, which then waits. Returns 0, or -1 with *err and nothing left behind. */
int oci_create(const struct oci_create *create, struct report *report, struct error *err);

/*
 * Let its process go on. report gets what hooks after the start have to say. Returns 0, or
 * -1 with *err, that of execve(2) included.
 */
int oci_start(const char *root, const char *id, struct report *report, struct error *err);

/*
 * Create and start one, and with foreground wait for its end (*ret_status as of wait(2)) and
 * delete it.
 */
int oci_run(const struct oci_create *create, struct report *report, int *ret_status,
            struct error *err);

/* Send a signal to its first process; with all, to every one. Returns 0, or -1 with *err. */
int oci_kill(const char *root, const char *id, int sig, bool all, struct error *err);

/* Forget a container that has stopped, or with force any, which is killed then. */
int oci_delete(const char *root, const char *id, bool force, struct report *report,
               struct error *err);

/* Stop all its processes where they are, or let them go on. Returns 0, or -1 with *err. */
int oci_pause(const char *root, const char *id, bool paused, struct error *err);

/* Change its limits as linux.resources has them, a document. Returns 0, or -1 with *err. */
int oci_update(const char *root, const char *id, const char *text, size_t length,
               struct error *err);

/* Append the ids of its processes to *ret, which the caller frees. Returns 0, or -1 with *err. */
int oci_processes(const char *root, const char *id, pid_t **ret, size_t *ret_count,
                  struct error *err);

struct oci_statistics {
        bool running;         /* false: it has ended, and there is no text */
        int64_t memory_kills; /* how often a process was killed for memory */
};

/* Append what it uses as a line of JSON, as runc's "events" has it. Returns 0, or -1 with *err. */
int oci_statistics(const char *root, const char *id, struct oci_statistics *ret,
                   struct strbuf *text, struct error *err);

struct oci_exec {
        const char *root, *id;
        const char *process_file;              /* NULL: the words below */
        const char *cwd, *user;                /* NULL: those of the container */
        const struct strlist *env, *groups, *capabilities; /* added to those of the container */
        char *const *command;
        const char *pid_file, *console_socket; /* NULL: none */
        const char *cgroup;                    /* one below the container's, or NULL */
        const char *apparmor_profile, *selinux_label; /* instead of the container's; or NULL */
        bool terminal, detach, no_new_privileges, ignore_paused;
        int preserve_fds;
};

/*
 * Another process in a container that runs. Unless detached, waits for its end: *ret_status
 * as of wait(2). Returns 0, or -1 with *err.
 */
int oci_exec(const struct oci_exec *exec, struct report *report, int *ret_status,
             struct error *err);

/* Append what this program can do, as the specification's "features" document. */
int oci_features(struct strbuf *text, struct error *err);
