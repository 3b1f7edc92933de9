/*
 * runtime/: a rootfs becomes a running container: namespaces, id map, rootfs
 * assembly, environment, mounts, hooks, pivot, capabilities, seccomp, exec.
 *
 * Single-threaded (a process with threads cannot unshare its user namespace), and
 * without child processes but for the FUSE server of an image start and the hook
 * programs that site and user have.
 */
#pragma once

#include <stdint.h>
#include <sys/types.h>
#include <time.h>

#include "config/config.h"
#include "mount/mount.h"
#include "runtime/id_map.h"
#include "runtime/join.h"
#include "util/error.h"
#include "util/report.h"
#include "util/strbuf.h"
#include "util/strlist.h"

/* Where the changes to an image go. Borrowed strings. */
struct runtime_overlay {
        const char *dir;  /* directory that keeps them, in upper and work; NULL: into memory */
        const char *size; /* of the memory, as tmpfs(5) takes it; NULL: half of the machine's */
};

/*
 * Take apart what --overlay and ENROOT_OVERLAY say: "tmpfs", "tmpfs:SIZE" or a directory;
 * "" is the first. The result points into word. Returns 0, or -1 with *err (EINVAL).
 */
int runtime_overlay_parse(const char *word, struct runtime_overlay *ret, struct error *err);

struct runtime_start {
        const char *rootfs; /* absolute path of a container's directory, or of an image file */
        bool image;         /* rootfs is an image file: mount it */
        uint64_t image_offset; /* where in the file it begins */
        const char *shown_as; /* path that list and exec know it by; NULL: rootfs */
        struct runtime_overlay overlay; /* of an image */
        const char *rc;     /* --rc: script that replaces /etc/rc, or NULL */
        bool no_rc;         /* run the command itself, whatever the image's /etc/rc is */
        const char *directory; /* working directory, for runtime_switch_root; or NULL */
        const char *conf;   /* --conf: start configuration, an absolute path, or NULL */
        const struct strlist *mounts; /* --mount words */
        const struct strlist *env;    /* --env words */
        const struct strlist *devices; /* --device words, or NULL */
        char *const *command;         /* NULL-terminated; may be empty */

        /* Have the command as a child, also without a pid namespace of its own. */
        bool stay;

        /*
         * Called in the container's mount namespace with the path of the runtime directory,
         * a file system in memory that only this start sees, before the files of site and
         * user are looked for: they may be put there. NULL: nothing is.
         */
        int (*lay_down)(void *context, const char *directory, struct error *err);
        void *lay_down_context;

        /*
         * Called instead of becoming the command, when all is as that would find it: with the
         * environment and the working directory that the image names ("/" for none). What it
         * returns, runtime_start does. NULL: become the command.
         */
        int (*hold)(void *context, const struct strlist *environment, const char *directory,
                    struct error *err);
        void *hold_context;
};

/*
 * Start a container in this process. On success it does not return: the process
 * becomes the container's command. With a pid namespace of its own, or when it is to
 * stay, the command is a child, and the process returns 1 with its wait(2) status when it
 * has ended; all descriptors but the standard ones are closed then. Returns
 * -1 with *err otherwise; the process is then fit for nothing but to print the error
 * and exit.
 */
int runtime_start(const struct runtime_start *start, const struct config *config,
                  struct report *report, int *ret_status, struct error *err);

/*
 * Go the way of a start until the rootfs is mounted, and no further: for a check of the
 * machine, in a process of its own. The current directory is the rootfs then. Settings
 * that ask for a pid namespace are not looked at. Returns 0, or -1 with *err.
 */
int runtime_try(const struct runtime_start *start, const struct config *config, struct error *err);

/*
 * For struct mount_root: mount the image file of an entry, from inside a container's user
 * and mount namespaces. context is the struct identity of a start; NULL: the files are
 * this process's user's. Returns 0, or -1 with *err.
 */
int runtime_mount_image(const void *context, const struct mount_entry *entry, const char *source,
                        int target_fd, struct error *err);

/*
 * Append to *text what a start would do: rootfs, namespaces and ids, mounts with their
 * origin, hooks and their changes, environment and command. Needs no privilege, mounts
 * nothing and changes nothing. Returns 0, or -1 with *err for what would stop the start;
 * *text then holds the plan up to there.
 */
int runtime_print_plan(const struct runtime_start *start, const struct config *config,
                       struct report *report, struct strbuf *text, struct error *err);

/*
 * Trees whose files keep the owners that the image gives them.
 *
 * With ENROOT_SUBIDS the owners on the disk are the user and his subordinate ids, as
 * root in a user namespace of theirs makes and sees them; without that, he can neither
 * make such files nor remove them. A real root with ENROOT_ALLOW_SUPERUSER needs no
 * namespace for it.
 */
bool runtime_keeps_owners(const struct config *config);

/*
 * Become root in a user namespace where the subordinate ids are 1 and up. For processes
 * without threads. Returns 0, or -1 with *err that says what the host lacks for it.
 */
int runtime_enter_subids(const struct config *config, struct error *err);

/* Returns 0, or -1 with *err. Runs in a child process: what it changes in memory is lost. */
typedef int (*runtime_step)(void *context, struct error *err);

/* Run a step in a child that has become root there. Returns what it returned, with its *err. */
int runtime_run_with_subids(const struct config *config, runtime_step step, void *context,
                            struct error *err);

/* ---- another command in a container that runs ---- */

struct runtime_join {
        pid_t pid;
        uint64_t start; /* as in struct runtime_process; 0: whatever process has the number */
        bool root;      /* be root inside, which needs a map that has it */
        const struct strlist *env; /* --env words */
        char *const *command;      /* NULL-terminated; at least one word */
};

/*
 * Execute a command where another process is: in its namespaces, root directory and
 * working directory, with its environment and umask, and with no more rights than a
 * start gives. On success it does not return, or, where the container has process ids of
 * its own, returns 1 once the command has ended.
 *
 * ret_status  what to end with, as of wait(2); on failure, too: exit status 127 for a
 *             command that is not there, 126 for one that cannot be executed, else 1
 *
 * Returns -1 with *err: ESRCH when there is no such process, EINVAL when it is in no
 * container, EPERM when it is not this user's; the process may be fit for nothing then
 * but to print the error and exit.
 */
int runtime_join(const struct runtime_join *join, const struct config *config,
                 struct report *report, int *ret_status, struct error *err);

/* ---- a container that processes of another program enter ---- */

/* As /proc/PID/comm has the server of a started image, which ends after the last mount. */
#define RUNTIME_SERVER_NAME "enroot-fuse"

#define RUNTIME_ENTRANCE_NAMESPACES 6

/* All descriptors are closed by execve(2). */
struct runtime_entrance {
        /* User, cgroup, mount, IPC, UTS, network; -1: who opened it is in that one already. */
        int namespaces[RUNTIME_ENTRANCE_NAMESPACES];
        int root;       /* the root directory */
        bool single_id; /* the user namespace has one user */
};

#define RUNTIME_ENTRANCE_INIT                                                                      \
        {                                                                                          \
                .namespaces = { -1, -1, -1, -1, -1, -1 }, .root = -1                               \
        }

/*
 * Take hold of the container that a process is in; the container exists then as long as
 * the entrance. Returns 0, or -1 with *err as runtime_join.
 */
int runtime_entrance_open(pid_t pid, struct runtime_entrance *ret, struct error *err);

/*
 * Make this process, which has one thread, one of the container, in a directory of it,
 * and take the rights from it that a start takes. Returns 0, or -1 with *err, when the
 * process is fit for nothing but to report it.
 */
int runtime_entrance_enter(const struct runtime_entrance *entrance, const char *directory,
                           struct error *err);
void runtime_entrance_release(struct runtime_entrance *entrance);
#define auto_runtime_entrance auto_cleanup(runtime_entrance_release)

/* Append the environment that a process was started with. Returns 0, or -1 with *err. */
int runtime_read_environment(pid_t pid, struct strlist *ret, struct error *err);

struct runtime_nsenter {
        pid_t target;                      /* enter this process's namespaces; 0: new ones */
        int namespaces;                    /* CLONE_NEW* flags of setns(2) */
        const char *directory;             /* to change to; NULL: stay */
        const struct strlist *environment; /* of the command */
        char *const *command;              /* NULL-terminated; at least one word */
};

/*
 * A command in other namespaces, for scripts that put a container together themselves. Of
 * config, remap_root counts: be root in a new user namespace; otherwise the command keeps
 * all capabilities of it. Returns as runtime_start does.
 */
int runtime_nsenter(const struct runtime_nsenter *nsenter, const struct config *config,
                    struct report *report, int *ret_status, struct error *err);

/* ---- what runs ---- */

/*
 * The first process of a start: the oldest one in its mount namespace that still lives.
 * One start, one process, however many it has started and "exec" has added.
 */
struct runtime_process {
        pid_t pid;
        uint64_t start; /* clock ticks after boot: with the pid, this means one process for ever */

        /*
         * What was started: the name of a container in ENROOT_DATA_PATH, or else the path
         * of an image file. Both NULL: a container of somewhere else.
         */
        char *container, *image;

        char *comm, *state; /* as in ps(1): "Ss+" */
        time_t started;
        uint64_t elapsed;                         /* seconds */
        uint64_t mount_namespace, user_namespace; /* inode numbers */
        struct strlist command;
};

/* Sorted by container, image, and age (the oldest start first). */
struct runtime_processes {
        struct runtime_process *items;
        size_t count, capacity;
};

/*
 * Find everything started by this user (by anybody, for root) in one look at /proc, for
 * which no right is needed. Returns 0, or -1 with *err. Whatever it finds may have ended
 * by the time that the caller looks.
 */
int runtime_processes_read(const char *data_path, struct runtime_processes *ret, struct error *err);
void runtime_processes_release(struct runtime_processes *processes);

/* Those of a container: the first (oldest) of *ret_count that follow each other, or NULL. */
const struct runtime_process *runtime_processes_of(const struct runtime_processes *processes,
                                                   const char *container, size_t *ret_count);
#define auto_runtime_processes auto_cleanup(runtime_processes_release)

/* ---- the end of a start on its own ---- */

/*
 * Make start->rootfs, a mount point in the caller's own mount namespace, the root directory,
 * drop privileges and become the command. Of config, login_shell counts. As runtime_start,
 * it returns only on failure.
 */
int runtime_switch_root(const struct runtime_start *start, const struct strlist *environment,
                        const struct config *config, struct report *report, struct error *err);

/* ---- parts of a start, for oci/, where a configuration says what is done ---- */

/*
 * Enter new namespaces: those of CLONE_NEWNS, CLONE_NEWNET, CLONE_NEWIPC and CLONE_NEWUTS
 * in the flags. Nothing propagates from a mount namespace to the host, and a network
 * namespace has its loopback interface up.
 */
int runtime_enter_namespaces(int namespaces, bool user_namespace, struct error *err);

/*
 * Enter a new user namespace with these maps, which newuidmap and newgidmap write where
 * they are more than the user's own ids. path: a list of directories to look for them in.
 */
int runtime_enter_user(const struct id_map *uids, const struct id_map *gids, const char *path,
                       struct error *err);

/*
 * The maps of the user's subordinate ids, for root inside. Returns 0, or -1 with *err
 * (ENOENT) that says what the host lacks.
 */
int runtime_read_subids(struct id_map *uids, struct id_map *gids, const char *path,
                        struct error *err);

/* Make a mount point the root directory and let go of the old one. name is for messages. */
int runtime_pivot(int root_fd, const char *name, bool user_namespace, struct error *err);

/* Close everything but the standard descriptors and those of the list, which is sorted. */
void runtime_close_descriptors(int *keep, size_t count);
