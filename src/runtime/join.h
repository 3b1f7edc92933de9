/* Another process, whose number may be given away at any time, and its namespaces. */
#pragma once

#include <sched.h>
#include <stdbool.h>
#include <sys/types.h>

#include "util/cleanup.h"
#include "util/error.h"

/*
 * Invariant: both descriptors are of the same process, and stay so when it has ended.
 * All descriptors are closed by execve(2).
 */
struct join_target {
        pid_t pid;
        int pidfd;   /* -1 before Linux 5.3 */
        int proc_fd; /* /proc/PID */
};

#define JOIN_TARGET_INIT                                                                           \
        {                                                                                          \
                .pidfd = -1, .proc_fd = -1                                                         \
        }

void join_target_release(struct join_target *target);
#define auto_join_target auto_cleanup(join_target_release)

/*
 * Take hold of a process. It becomes impossible to look into this one (PR_SET_DUMPABLE),
 * which is about to be a process of the container with descriptors of the host.
 */
int join_target_open(struct join_target *target, pid_t pid, struct error *err);

/*
 * Which of its namespaces this process is not in yet: CLONE_NEW* flags out of wanted.
 * EPERM for a process of another user, or in a user namespace of another one.
 */
int join_target_compare(const struct join_target *target, int wanted, int *ret_other,
                        struct error *err);

/*
 * Enter the namespaces (those that join_target_compare named), and become root inside if
 * asked. Returns 0; but where CLONE_NEWPID is among them, 0 in a child and 1 with its
 * wait(2) status in the parent, which has waited for it. -1 with *err.
 */
int join_target_enter(const struct join_target *target, int namespaces, bool root, int *ret_status,
                      struct error *err);

/*
 * Enter namespaces of it, the user namespace first. That of process ids is for children.
 * Returns 0, or -1 with *err.
 */
int join_target_setns(const struct join_target *target, int namespaces, struct error *err);

/* The namespaces of a container; one of oci/ may have CLONE_NEWTIME besides. */
#define JOIN_ALL                                                                                   \
        (CLONE_NEWUSER | CLONE_NEWCGROUP | CLONE_NEWNS | CLONE_NEWIPC | CLONE_NEWUTS |             \
         CLONE_NEWNET | CLONE_NEWPID)
