/*
 * relay/: the image of a Slurm step goes from the node that imports it to the others, over
 * the job's own network.
 *
 * Each node runs relay_run in a process of the job's user, which receives the image from a
 * node before it, keeps it in the cache, and passes it on (plan.h: who asks whom; wire.h: what
 * they say). All of it is of one user and one step: who does not know the step's secret gets
 * nothing, and nothing of him is taken. A node that cannot reach any other is told to import by
 * itself.
 *
 * The caller speaks to it over a socket (step/step.h):
 *
 *      in   STEP_RESOLVED  text: digest of the image that this node imports
 *           STEP_IMAGE     text: digest of an image that is in the cache now
 *           STEP_FAILED    this node cannot import it, and has said why
 *           STEP_END       serve whoever is still being served, and end
 *      out  STEP_INFO      a line for the user
 *           STEP_IMAGE     text: digest of the image, which is in the cache now
 *           STEP_IMPORT    import by yourself; text: the digest that others have, or ""
 *           STEP_FAILED    there will be no image, and another node has said why
 */
#pragma once

#include <stdint.h>

#include "step/step.h"
#include "store/store.h"
#include "util/error.h"
#include "util/report.h"

enum relay_role {
        RELAY_FIRST,   /* this node imports */
        RELAY_RECEIVE, /* it asks others */
        RELAY_ABSENT,  /* it needs no image; others shall not wait for it */
};

/* Where a node is in its step. */
struct relay_place {
        const char *step;  /* "JOB.STEP": steps of one srun have one secret */
        const char *nodes; /* as Slurm lists them; their order is that of the indices */
        uint32_t node, node_count;
        uint16_t first_port, last_port;
        int patience; /* milliseconds in which the nodes come; a third of them for the parent */
        unsigned char secret[STEP_SECRET_BYTES];
};

/*
 * Serve until STEP_END or the end of the control socket. The report's bytes_total and bytes_done
 * count what is received. Returns 0; -1 with *err when it could not begin.
 */
int relay_run(const struct relay_place *place, enum relay_role role, struct store *store,
                 int control, struct report *report, struct error *err);

/* A list "FIRST-LAST" of ports. Returns 0, or -1 for what is none. */
int relay_parse_ports(const char *text, uint16_t *ret_first, uint16_t *ret_last);
