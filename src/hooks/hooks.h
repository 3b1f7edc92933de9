/*
 * hooks/: the built-in hooks, one file each, in place of the scripts of the classic
 * tool. A hook only reads the host and writes below the rootfs, adds to the mount
 * plan and to the environment; it starts no process.
 */
#pragma once

#include "config/config.h"
#include "mount/mount.h"
#include "util/error.h"
#include "util/strlist.h"

struct hook_context {
        const struct config *config;
        int rootfs_fd;                 /* the mounted rootfs, still writable */
        const char *rootfs_path;
        uid_t uid, uid_outside;        /* of the user inside the container and on the host */
        gid_t gid, gid_outside;
        struct mount_plan *mounts;     /* carried out after all hooks */
        struct strlist *environment;   /* of the container */
        void (*warn)(const char *text);
};

/* Run every built-in hook in name order. Returns 0, or -1 with *err that names the hook. */
int hooks_run_builtin(struct hook_context *context, struct error *err);
