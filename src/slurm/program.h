/*
 * Our program, started by a daemon that may be root, has threads and is not ours: as the
 * user of the job for good, with nothing of the daemon but PATH and what is given here.
 */
#pragma once

#include <sys/types.h>

#include "util/error.h"
#include "util/strlist.h"

struct program {
        const char *path; /* of enroot; "": look it up in the daemon's PATH */
        const struct strlist *arguments;   /* after the name */
        const struct strlist *environment; /* all of it */
        uid_t uid;
        gid_t gid;
        const gid_t *groups; /* set where the daemon is root at that moment */
        int group_count;
        int input; /* descriptor that becomes the standard input, or -1 */
};

/*
 * Start it as a process that is nobody's child: slurmstepd counts its children. Returns its
 * number, or -1 with *err; that it could not be executed shows at its input.
 */
pid_t program_start(const struct program *program, struct error *err);

/* Kill one that was started, with its user's rights: the number may be another's by now. */
void program_kill(pid_t pid, uid_t uid);

/* Where it and what it calls look programs up: the daemon's PATH, or the usual directories. */
const char *program_search_path(void);

/* Run it and wait. Returns 0 when it has succeeded, or -1 with *err. */
int program_run(const struct program *program, struct error *err);
