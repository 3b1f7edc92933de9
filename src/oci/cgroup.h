/*
 * The cgroups of a container: one of version 2, or of version 1 one for each controller that
 * this user may make one of, that is below what was delegated to him. Elsewhere a container
 * runs in those of its caller, whose limits count. Private to oci/.
 *
 * A list of them has two strings each: the controller, "" for version 2, and the directory.
 */
#pragma once

#include "oci/oci.h"

/*
 * Make cgroups with the limits asked for and put a process into them, where this user may;
 * else report what cannot be limited. Appends to *ret. 0, or -1 with *err.
 */
int cgroups_make(const struct oci_spec *spec, const char *id, pid_t pid, struct report *report,
                 struct strlist *ret, struct error *err);

/*
 * Put a process into them, or with sub (NULL: none) into one below: "PATH", or
 * "CONTROLLER:PATH". Best effort without sub. Returns 0, or -1 with *err.
 */
int cgroups_join(const struct strlist *cgroups, const char *sub, pid_t pid, struct error *err);

/* Remove them, killing what is left in them. */
void cgroups_remove(const struct strlist *cgroups);

/* ---- cgroup_files.c ---- */

/* The directory of a controller's, or of version 2; NULL when there is none. */
const char *cgroups_find(const struct strlist *cgroups, const char *controller);

/*
 * Write the settings of the version that the cgroups have. With a report, what cannot be
 * written is reported, else it is an error. Returns 0, or -1 with *err.
 */
int cgroups_set(const struct strlist *cgroups, const struct oci_resources *resources,
                struct report *report, struct error *err);

/* Append the ids of the processes in them. Returns 0, or -1 with *err (ENOENT: no cgroups). */
int cgroups_processes(const struct strlist *cgroups, pid_t **ret, size_t *ret_count,
                      struct error *err);

/* Whether it is frozen; and stop it, or let it go on. Returns 0, or -1 with *err. */
bool cgroups_frozen(const struct strlist *cgroups);
int cgroups_freeze(const struct strlist *cgroups, bool frozen, struct error *err);

/* The content of a file there. 0; -1 when it is not there. */
int cgroups_read(const struct strlist *cgroups, const char *controller, const char *file,
                 struct strbuf *text);
