/*
 * newuidmap(1) and newgidmap(1): the set-user-id programs through which an ordinary
 * user maps more ids than his own.
 *
 * They must run in the user namespace that is being left, so they are started before
 * and wait for a sign:
 *
 *      newidmap_start → unshare(CLONE_NEWUSER) → newidmap_finish
 */
#pragma once

#include <signal.h>
#include <sys/types.h>

#include "host/host.h"
#include "runtime/id_map.h"
#include "util/error.h"

struct newidmap {
        const char *path; /* borrowed */
        pid_t children[2];
        int go_fd;    /* write end: a byte for each child; closing it unwritten ends them */
        int error_fd; /* read end: what they write to standard error; -1: nothing is started */
        struct sigaction old_action; /* of SIGCHLD */
};

#define NEWIDMAP_INIT                                                                              \
        {                                                                                          \
                .go_fd = -1, .error_fd = -1                                                        \
        }

/*
 * Start both for this process. path is a list of directories to look in besides the
 * usual ones, or NULL. Returns 0, or -1 with *err.
 */
int newidmap_start(struct newidmap *tools, const struct id_map *uids, const struct id_map *gids,
                   const char *path, struct error *err);

/* Let them write the maps, and wait for it. Returns 0, or -1 with *err. */
int newidmap_finish(struct newidmap *tools, struct error *err);

/* End what was started and not finished. Safe on an initialised struct. */
void newidmap_release(struct newidmap *tools);
#define auto_newidmap auto_cleanup(newidmap_release)

/* How to install them on this machine. */
void newidmap_mend(char mend[HOST_MEND_SIZE]);

/* Where a program is, as newidmap_start looks for it: malloc'd, or NULL with errno (ENOENT). */
char *newidmap_find(const char *program, const char *path);
