/*
 * step/: what the Slurm plugin and the process that holds a step's container
 * (enroot-step) say to each other. Linked into the plugin: never ends a process.
 *
 * They talk over sockets without a name (SOCK_SEQPACKET, one packet a message), so
 * nothing of it can be met by another user, and nothing is left when both have died.
 * The control socket is the holder's standard input; each task and, at the end, the
 * plugin itself sends one end of a new socket over it, where the answers come:
 *
 *      plugin  STEP_SECRET text: the step's secret; the first, for a holder that waits for it
 *
 *      plugin  STEP_TASK   text: current directory; fds: answers, environment
 *      holder  STEP_INFO … STEP_ERROR …   lines for the user
 *      holder  STEP_ENTER  text: working directory inside; fds: environment, root, namespaces
 *      holder  STEP_FAILED instead: there is no container
 *
 *      plugin  STEP_END    text: STEP_END_NOW, or ""; fds: answers
 *      holder  STEP_INFO … STEP_ERROR …, and closes when all is removed
 *      holder  STEP_BUSY   every few seconds meanwhile (STEP_SILENCE)
 *
 * The end of the answers to a task, without either, means that the holder was killed. The
 * end of the control socket (slurmstepd has died) is an end without anybody to answer to.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "util/cleanup.h"
#include "util/error.h"
#include "util/strlist.h"

enum step_kind {
        STEP_TASK = 1,
        STEP_END,
        STEP_INFO,
        STEP_ERROR,
        STEP_ENTER,
        STEP_FAILED,
        STEP_BUSY,
        STEP_SECRET,

        /* Between the holder and its own processes; text is a digest (relay/relay.h). */
        STEP_RESOLVED,
        STEP_IMAGE,
        STEP_IMPORT,
};

/* Of a step that was ended: other nodes are not waited for. */
#define STEP_END_NOW "now"

/*
 * The secret of a step, from srun to the nodes: hex digits, and behind them STEP_TERMINAL where
 * srun's standard error is a terminal.
 */
#define STEP_SECRET_VARIABLE "SLURM_ENROOT_SECRET"
#define STEP_SECRET_BYTES    32 /* the size of a digest, and printed as one (util/sha256.h) */
#define STEP_TERMINAL        ":terminal"
#define STEP_SECRET_SIZE     (2 * STEP_SECRET_BYTES + sizeof(STEP_TERMINAL))

#define STEP_TEXT_SIZE   4096 /* with the NUL; also of the longest path */
#define STEP_DESCRIPTORS 8

/*
 * Seconds without a word at the end of a step after which slurmstepd waits no longer. The
 * holder is the user's, who can stop it; Slurm drains a node whose slurmstepd does not end
 * within UnkillableStepTimeout, which is 60 by default.
 */
#define STEP_SILENCE 15
#define STEP_BEAT    3

struct step_message {
        enum step_kind kind;
        char text[STEP_TEXT_SIZE];
        int fds[STEP_DESCRIPTORS]; /* the first fd_count; the receiver's own */
        size_t fd_count;
        uint32_t namespaces; /* of STEP_ENTER: bit i for namespace i of the entrance */
        bool single_id;
};

#define STEP_MESSAGE_INIT                                                                          \
        {                                                                                          \
                .fd_count = 0                                                                      \
        }

/* Close the descriptors of a message that was received. */
void step_message_release(struct step_message *message);
#define auto_step_message auto_cleanup(step_message_release)

/* Send a message; the descriptors stay the caller's. Returns 0, or -1 with *err. No SIGPIPE. */
int step_send(int socket, const struct step_message *message, struct error *err);

/*
 * Receive a message; descriptors are close-on-exec. Returns 1; 0 when the other side is
 * gone; -1 with *err (EBADMSG for what is no message).
 */
int step_receive(int socket, struct step_message *ret, struct error *err);

/* A file in memory with "KEY=VALUE" strings, each ended by a NUL. A descriptor, or -1 with *err. */
int step_write_environment(char *const *environment, struct error *err);

/* The strings of such a file, appended. Returns 0, or -1 with *err. */
int step_read_environment(int fd, struct strlist *ret, struct error *err);

/* ---- names, and what marks the jobs of a node (commands/step_reap.c) ---- */

#define STEP_NAME_PREFIX "pyxis_"
#define STEP_START_FILE  "slurmd" /* in the plugin's runtime_path: when slurmd has started */
#define STEP_JOB_SIZE    11 /* of a job's number, with the NUL */
#define STEP_KEY_SIZE    128

/* A container that belongs to a job: pyxis_JOB.STEP, or pyxis_JOB_NAME. */
struct step_name {
        char job[STEP_JOB_SIZE];
        bool is_named;
};

/* Returns false for every other name. */
bool step_name_parse(const char *name, struct step_name *ret);

/* "KEY RESTARTS\n" */
struct step_mark {
        char key[STEP_KEY_SIZE]; /* of the boot and of slurmd's start */
        unsigned long restarts;  /* how often the job was requeued */
};

/* Returns false for what is no mark. */
bool step_mark_parse(const char *text, struct step_mark *ret);

/* Whether a job is among the numbers, one a line, that squeue has printed. */
bool step_job_is_listed(const char *list, const char *job);
