/*
 * host/: what the machine under a container is (distribution, kernel parameters), why
 * it refuses something, and the mend that an administrator there would use. Reads
 * only, and only when something failed or a check asks: a start that works pays nothing.
 *
 * root stands in front of every path: "" for the machine itself, a directory in tests.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "util/error.h"

enum host_family {
        HOST_UNKNOWN,
        HOST_DEBIAN,
        HOST_UBUNTU,
        HOST_REDHAT, /* RHEL and what is made from it, Fedora */
        HOST_SUSE,
        HOST_ALPINE,
};

/* What os-release(5) says. */
struct host_distribution {
        enum host_family family;
        char name[96];    /* PRETTY_NAME; "" when unknown */
        char version[32]; /* VERSION_ID: "7.9" */
};

#define HOST_RELEASE_LIMIT (64u << 10) /* largest os-release, in bytes */

/* Pure. Lines that are no KEY=VALUE are passed over. */
void host_distribution_parse(const char *text, size_t length, struct host_distribution *ret);

/* From /etc/os-release or /usr/lib/os-release; HOST_UNKNOWN without either. */
void host_distribution_load(const char *root, struct host_distribution *ret);

/* RHEL 7 and its kin, where two boot parameters switch user namespaces on. */
bool host_is_redhat_7(const struct host_distribution *distribution);

/* A kernel parameter with one number, by its sysctl name; false when there is none. */
bool host_sysctl(const char *root, const char *name, long *ret);

/* Whether the root directory is a chroot that is no mount point of its own. */
bool host_in_chroot(const char *root);

/* The value of a field of /proc/self/status that is a number ("Seccomp"); -1 without it. */
long host_process_status(const char *root, const char *field);

/* ---- mends: what an administrator does, in one line ---- */

#define HOST_MEND_SIZE 448

enum host_package {
        HOST_PACKAGE_UIDMAP, /* newuidmap and newgidmap */
        HOST_PACKAGE_FUSE,   /* the mode of /dev/fuse */
};

void host_mend_sysctl(const struct host_distribution *distribution, const char *name,
                      const char *value, char mend[HOST_MEND_SIZE]);
void host_mend_boot(const struct host_distribution *distribution, const char *parameters,
                    char mend[HOST_MEND_SIZE]);
void host_mend_module(const struct host_distribution *distribution, const char *module,
                      char mend[HOST_MEND_SIZE]);
void host_mend_package(const struct host_distribution *distribution, enum host_package package,
                       char mend[HOST_MEND_SIZE]);

/* ---- refusals ---- */

enum host_feature {
        HOST_USER_NAMESPACE,
        HOST_MOUNT_NAMESPACE,
        HOST_PID_NAMESPACE,
        HOST_NET_NAMESPACE,
        HOST_IPC_NAMESPACE,
        HOST_UTS_NAMESPACE,
        HOST_CGROUP_NAMESPACE,
        HOST_FUSE_DEVICE, /* opening /dev/fuse */
        HOST_OVERLAY,     /* mounting one in a user namespace */
        HOST_SECCOMP,
};

/* Each "" when nothing is known. */
struct host_advice {
        char cause[256];
        char mend[HOST_MEND_SIZE];
};

/* Why a feature was refused with this errno value, and what to do about it. */
void host_advise(const char *root, enum host_feature feature, int code, struct host_advice *ret);

/* Append the advice for err->code on this machine to the message. Always returns -1. */
int host_explain(enum host_feature feature, struct error *err);
