/*
 * runtime/: a rootfs becomes a running container: namespaces, id map, rootfs
 * assembly, environment, mounts, hooks, pivot, capabilities, seccomp, exec.
 *
 * Single-threaded (a process with threads cannot unshare its user namespace), and
 * without child processes but for the FUSE server of an image start.
 */
#pragma once

#include "config/config.h"
#include "util/error.h"
#include "util/report.h"
#include "util/strbuf.h"
#include "util/strlist.h"

struct runtime_start {
        const char *rootfs; /* absolute path of a container's directory, or of an image file */
        bool image;         /* rootfs is an image file: mount it, changes stay in memory */
        const char *rc;     /* --rc: script that replaces /etc/rc, or NULL */
        const struct strlist *mounts; /* --mount words */
        const struct strlist *env;    /* --env words */
        char *const *command;         /* NULL-terminated; may be empty */
};

/*
 * Start a container in this process. On success it does not return: the process
 * becomes the container's command. Returns -1 with *err otherwise; the process is
 * then fit for nothing but to print the error and exit.
 */
int runtime_start(const struct runtime_start *start, const struct config *config,
                  struct report *report, struct error *err);

/*
 * Append to *text what a start would do: rootfs, namespaces and ids, mounts with their
 * origin, hooks and their changes, environment and command. Needs no privilege, mounts
 * nothing and changes nothing. Returns 0, or -1 with *err for what would stop the start;
 * *text then holds the plan up to there.
 */
int runtime_print_plan(const struct runtime_start *start, const struct config *config,
                       struct report *report, struct strbuf *text, struct error *err);
