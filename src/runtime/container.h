/*
 * A container on its way from a rootfs to a running command, and the steps of
 * runtime/ in the order in which start.c takes them.
 */
#pragma once

#include <stdbool.h>
#include <sys/types.h>

#include "hooks/hooks.h"
#include "mount/mount.h"
#include "runtime/id_map.h"
#include "runtime/image_server.h"
#include "runtime/runtime.h"
#include "squashfs/squashfs.h"
#include "util/cleanup.h"
#include "util/root_view.h"

struct identity {
        uid_t uid, uid_outside; /* inside the container and on the host */
        gid_t gid, gid_outside;
        /* Ids below are mapped, too: 0 without subordinate ids, UINT32_MAX for the host's own. */
        uint32_t uid_count, gid_count;
};

struct container {
        const struct runtime_start *start;
        const struct config *config;
        struct report *report;

        struct identity identity;
        bool user_namespace;        /* false only for a real root who is allowed to be one */
        bool subids;                /* subordinate ids are mapped */
        struct mount_root root;     /* the mounted rootfs */
        char *root_path;            /* owns root.path */
        struct root_view view;      /* of the rootfs, mounted or not */
        int rc_fd;                  /* content of --rc, or -1 */
        struct strlist environment; /* of the container */
        struct hooks *hooks;        /* until they have run */
};

#define CONTAINER_INIT(start_, config_, report_)                                                   \
        {                                                                                          \
                .start = (start_), .config = (config_), .report = (report_), .rc_fd = -1,          \
                .root = { .fd = -1 },                                                              \
        }

void container_release(struct container *container);
#define auto_container auto_cleanup(container_release)

/* ---- user_namespace.c ---- */

/* Whose container it is; decides about user_namespace and subids, too. */
void identity_init(struct container *container);

/* The maps that --subids asks for. Returns 0, or -1 with *err that says what the host lacks. */
int identity_read_subids(const struct container *container, struct id_map *uids,
                         struct id_map *gids, struct error *err);

/*
 * Enter a new user namespace: with a map of one id each, or of the subordinate ids as
 * well. The error of a host that forbids it names the setting that does.
 */
int namespace_enter_user(struct container *container, struct error *err);

/* ---- namespace.c ---- */

/* A new mount namespace, and the others that the configuration asks for. */
int namespace_enter_others(const struct container *container, struct error *err);

/* Append the kernel's file systems that show the new namespaces. After those of the site. */
int namespace_add_mounts(const struct config *config, struct mount_plan *plan, struct error *err);

/* This process's number on the host: for ENROOT_PID, while the host's /proc can be seen. */
pid_t namespace_host_pid(void);

/* ---- rootfs.c ---- */

/* Mount the rootfs for the container (a directory over itself) and open it as container->root. */
int rootfs_mount_directory(struct container *container, struct error *err);

/* Everything of the rootfs's own file system becomes read-only; mounts on it stay as they are. */
int rootfs_make_read_only(const struct container *container, struct error *err);

/* Make the rootfs the root directory and let go of the old one. */
int rootfs_pivot(const struct container *container, struct error *err);

/* ---- image.c ---- */

/* Before the path of what was started, in the source of a root mount that is no bind. */
#define ROOT_MOUNT_SOURCE "enroot:"

/* An image file on its way to a rootfs. */
struct image_start {
        struct image_server server;
        int layer_fd; /* directory that changes go to, locked; -1: into memory */
};

#define IMAGE_START_INIT { .server = IMAGE_SERVER_INIT, .layer_fd = -1 }

void image_start_release(struct image_start *start);
#define auto_image_start auto_cleanup(image_start_release)

/* Where an image will be the rootfs. malloc'd, or NULL without memory. */
char *image_root_path(const struct config *config);

/* Open and check the image; still in the host's namespaces. */
int image_open(struct image_start *start, const struct container *container, struct error *err);

/* Start the server: after the user namespace and before the mount namespace is entered. */
int image_start_server(struct image_start *start, const struct container *container,
                       struct error *err);

/*
 * Mount the image with its writable layer on top, and open it as container->root. The
 * runtime directory, where that is done, is mounted.
 */
int image_mount(struct image_start *start, struct container *container, struct error *err);

/* Mount a file system at a path of the host, seen in this mount namespace only. */
int mount_at(const char *source, const char *target, const char *type, uint64_t flags,
             const char *data, struct error *err);

/* ---- writable.c: where the changes to an image go ---- */

/*
 * Make and lock the directory of a writable layer; *ret is a descriptor whose end is the
 * lock's, too, or -1 for a layer in memory. Waits a moment for a container that is just
 * ending. Still in the host's namespaces. Returns 0, or -1 with *err.
 */
int writable_open(const struct runtime_overlay *overlay, int *ret, struct error *err);

/* Make "upper" and "work" appear in a directory of the runtime directory. */
int writable_mount(const struct runtime_overlay *overlay, int layer_fd, const char *target,
                struct error *err);

/* A file system in memory of the size that is asked for. */
int writable_mount_memory(const struct runtime_overlay *overlay, const char *source,
                       const char *target, mode_t mode, struct error *err);

/* ---- underlay.c ---- */

/* Fill an empty root in memory with the image at lower_fd, as far as that goes. */
int underlay_build(int lower_fd, int root_fd, struct error *err);

/* ---- directory.c ---- */

/* Make the runtime directory; still in the host's namespaces. Returns 0, or -1 with *err. */
int runtime_directory_make(const struct config *config, struct error *err);

/* Put an empty file system over it. */
int runtime_directory_mount(const struct config *config, struct error *err);

/* ---- child.c: what only a child can do, as entering a process id namespace ---- */

/*
 * Fork. Returns 0 in the child, which goes on and dies with its parent. The parent
 * passes signals, stops and the terminal on until the child has ended: 1 with the
 * child's wait(2) status, every descriptor but the standard ones closed. -1 with *err; a
 * child that gets it exits as its parent would. child.h has the two halves.
 */
int child_continue(int *ret_status, struct error *err);

/* Mounts with an fs_passno up to this one come before the hooks, the others after them. */
#define PASS_LAST_BEFORE_HOOKS (-1)

/* ---- prepare.c: what is known before anything is mounted ---- */

/* Keep what --rc says in memory: its path means nothing inside, and it may be a pipe. */
int prepare_rc(struct container *container, struct error *err);

/* Keep a script in memory as container->rc_fd. name is for messages. 0, or -1 with *err. */
int prepare_rc_text(struct container *container, const char *name, const struct strbuf *text,
                    struct error *err);

/*
 * What files say of the environment, and then the options. Between them is the place of
 * a start configuration. Both need container->view.
 */
int prepare_environment(struct container *container, struct error *err);
int prepare_environment_options(struct container *container, struct error *err);

/*
 * The mounts that are known before the hooks run, in the order of their passes: of the
 * image, the site and the user, and apart from them those of the command line. Needs
 * container->view and container->root.path.
 */
int prepare_mounts(const struct container *container, struct mount_plan *plan,
                   struct mount_plan *options, struct error *err);

/*
 * The last fs_passno whose sources can be looked for before the hooks run: programs may
 * make what is mounted after them.
 */
int prepare_last_known_pass(const struct container *container);

/* The hooks' look at the container. */
struct hook_context prepare_hooks(struct container *container);

/* ---- seccomp.c and privileges.c ---- */

/*
 * No way back to more rights: cgroup namespace, no_new_privs, and for a user who is
 * not root inside no capabilities at all.
 */
int privileges_drop(const struct container *container, struct error *err);

/* The same without the namespace, for a process that is in it already. uid: inside. */
int privileges_limit(uid_t uid, struct error *err);

/* The last part alone: no_new_privs and no capabilities. */
int privileges_drop_all(struct error *err);

/* Answer success to system calls that change owners and ids, of which only one is mapped. */
int seccomp_install(struct error *err);

/* ---- login.c ---- */

/* What is executed. Arguments are borrowed, the rest is owned. */
struct login {
        struct strlist environment;
        char *program; /* NULL: look argv[0] up in PATH */
        char **argv;
        char *arg0, *home;
        struct strlist recorded; /* words that argv borrows from the image's record */
        char *work_dir;          /* where they run; NULL: at home */
        mode_t umask;
        bool has_umask, has_file_limit;
        unsigned long long file_limit; /* bytes; RLIM_INFINITY for none */
};

#define LOGIN_INIT                                                                                 \
        {                                                                                          \
                .program = NULL                                                                    \
        }

void login_release(struct login *login);
#define auto_login auto_cleanup(login_release)

/* Prepare from the files of the rootfs, whose content is taken as data. Changes nothing. */
int login_prepare(struct login *login, const struct container *container, struct error *err);

/*
 * The same for an image without a shell: the entrypoint that its import recorded, and the
 * command or what was recorded for none. 1, or 0 when that is nothing; -1 with *err.
 */
int login_set_recorded(struct login *login, const struct container *container,
                       char *const *command, struct error *err);

/* Only where that would run: as the record says, or the /etc/rc of an image of another tool. */
int login_set_recorded_directory(struct login *login, const struct container *container,
                                 struct error *err);

/* The command itself, which is looked up in PATH. Returns 0, or -1 without memory. */
int login_set_command(struct login *login, char *const *command);

/* Become the command; the rootfs is the root directory now. Returns only on failure. */
int login_exec(struct login *login, const struct container *container, struct error *err);
