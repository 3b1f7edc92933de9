/* What those who make and end containers do to the state. Private to oci/. */
#pragma once

#include "oci/oci.h"

#define STATE_CONFIG "config.json"
#define STATE_SOCKET "start"

/* Who holds the lock: bytes of the file. */
enum state_lock {
        STATE_LOCK_CREATOR, /* the process that creates the container */
        STATE_LOCK_WAITING, /* its first process, until it executes the command */
};

/* Open the lock file once more. A descriptor, or -1 with errno. */
int state_open_lock(int dir_fd);

/* Take a lock, which belongs to the open file, not the process. 0, or -1 with errno. */
int state_lock(int fd, enum state_lock which);

/*
 * Make the directory of a new container and hold its creator's lock. What a creation that
 * was killed has left is removed. Returns 0, or -1 with *err (EEXIST).
 */
int state_create(int root_fd, const char *id, struct oci_state *ret, struct error *err);

/* Give the state its file. Returns 0, or -1 with *err. */
int state_write(const struct oci_state *state, struct error *err);

/* Remove everything of a container but its processes. Returns 0, or -1 with *err. */
int state_remove(int root_fd, const char *id, struct error *err);

/* When a process started, in clock ticks after boot; 0 when it has ended. */
uint64_t state_process_start(pid_t pid);

/* Append the ids of the processes that are in its mount namespace. Returns 0, or -1 with *err. */
int state_find_processes(const struct oci_state *state, pid_t **ret, size_t *ret_count,
                         struct error *err);

/* Send its first process a signal, and no other one. Returns 0, or -1 with *err (ESRCH). */
int state_signal(const struct oci_state *state, int sig, struct error *err);
