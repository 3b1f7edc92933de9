/*
 * The state of a holder (step.c) and what its parts do to it. Private to commands/.
 *
 *      step_tell.c       what the tasks are told
 *      step_container.c  which container it is, and its start
 *      step_transfer.c   the image, from other nodes and for them
 *      step_failure.c    a failure that other nodes have as well
 *      step_work.c       what children do
 *      step_end.c        the end of a step
 *      step_reap.c       what steps that could not end have left
 */
#pragma once

#include <stdbool.h>
#include <sys/types.h>

#include "commands/commands.h"
#include "commands/step_work.h"
#include "runtime/runtime.h"
#include "step/step.h"
#include "relay/relay.h"

enum state {
        STATE_NEW,
        STATE_MAKING,  /* a child imports */
        STATE_MADE,    /* waits for a task, whose environment the start needs */
        STATE_STARTING,
        STATE_READY,
        STATE_FAILED,
};

struct holder {
        const struct step_arguments *arguments;
        char *const *environment; /* the job's */
        enum state state;
        int control_fd, signal_fd;

        struct strlist lines;  /* for the first task: what it has not been told yet */
        bool lines_are_errors; /* all of them */
        int *answers;          /* of the tasks that wait */
        size_t answer_count;
        int *tasks;            /* pidfds of all tasks that have come */
        size_t task_count;
        struct strlist task_environment; /* of the first task */

        pid_t reaper; /* removes what others have left; 0: none */
        pid_t worker; /* 0: none */
        enum step_work work;
        int log_fd, result_fd; /* of the worker */
        int tell_fd;           /* where a worker that makes tells about the image; or -1 */

        char digest[IMAGE_DIGEST_SIZE]; /* of a registry's image; "": not known yet */
        bool has_image;                 /* it is in the cache */
        bool received;                  /* and came there from another node */
        struct report *report;          /* shared with the children: how far they are */
        int64_t told;                   /* when progress was told last, in milliseconds */
        bool terminal;                  /* srun's standard error is one */

        bool has_peers; /* other nodes of the step, to whom place leads */
        bool transfers; /* they share one import */
        struct relay_place place;
        pid_t transfer; /* the process that does it; 0: none */
        int transfer_fd;
        pid_t failure; /* the process by which nodes hear of each other's failures; 0: none */
        int failure_fd;
        bool asks; /* we have failed; lines wait until we know that no other node tells why */

        char *target; /* an image file or a container's name */
        pid_t running; /* a process of the container, which runs already; 0: none */
        bool made;     /* a temporary container is on the disk, or part of one */
        bool imported; /* by the site's importer, which has to be told of the end */

        struct runtime_entrance entrance;
        int environment_fd; /* of the container's processes */
        char *directory;    /* that they begin in */
        unsigned int entered;
};

#define HOLDER_INIT(arguments_, environment_, control_)                                            \
        {                                                                                          \
                .arguments = (arguments_), .environment = (environment_),                          \
                .control_fd = (control_), .signal_fd = -1, .log_fd = -1, .result_fd = -1,          \
                .tell_fd = -1, .transfer_fd = -1, .failure_fd = -1, .environment_fd = -1,          \
                .entrance = RUNTIME_ENTRANCE_INIT,                                                 \
        }

void holder_release(struct holder *holder);

/* ---- step_end.c ---- */

/* Remember a task by its end of the socket that it has sent. */
void holder_watch_task(struct holder *holder, int socket);

/*
 * End what the step has started, save and remove the container. answers is the plugin's
 * socket for what there is to tell; -1 when slurmstepd has died, whose tasks end as well.
 * Unless all is to end at once, the other nodes first get all of the image.
 */
void holder_end(struct holder *holder, int answers, bool at_once);

/* ---- step_tell.c ---- */

/* Send a line to a task. Returns 0, or -1 when it cannot hear it. */
int holder_send(int socket, enum step_kind kind, const char *line);

/* Keep a line for the first task; without memory there is one less. */
void holder_tell(struct holder *holder, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* The same for what the worker has printed, line by line, with something in front. */
void holder_tell_log(struct holder *holder, const char *indent);

/* Send what was kept to the first task that can hear it. */
void holder_flush(struct holder *holder);

/* What a signal has to do with a worker's end, for those who wonder. */
void holder_tell_signal(struct holder *holder, int status);

/* There will be no container: keep the reason, and the worker's output if asked. */
void holder_fail(struct holder *holder, const char *reason, bool with_log);

/*
 * Tell how far an import or a transfer is, where that is due and this node is one of those that
 * do. Returns in how many milliseconds it is due again; -1 for never.
 */
int holder_tell_progress(struct holder *holder);

/* ---- step_transfer.c ---- */

/*
 * Take the step's secret, and see whether the nodes share an import. Returns 0; -1 with *err when
 * the plugin has gone.
 */
int holder_take_secret(struct holder *holder, struct error *err);

/*
 * Start the process that speaks to other nodes. Returns its number, and *ret_fd the socket to it;
 * or -1 with *err.
 */
pid_t holder_begin_relay(const struct holder *holder, const struct relay_place *place,
                         enum relay_role role, int *ret_fd, struct error *err);

/* Begin to get the image from other nodes (or, as the first, to pass it on). 0, or -1 with *err. */
int holder_begin_transfer(struct holder *holder, enum relay_role role, struct error *err);

/* What the transfer says, and what a worker that makes says. Returns 0, or -1 with *err. */
int holder_hear_transfer(struct holder *holder, struct error *err);
void holder_hear_worker(struct holder *holder);

/* Tell the other nodes. */
void holder_tell_transfer(struct holder *holder, enum step_kind kind, const char *text);

/* ---- step_failure.c ---- */

/* After holder_fail: one node tells what several have. */
void holder_share_failure(struct holder *holder);

/* What the other nodes say about theirs. */
void holder_hear_failure(struct holder *holder);

/* ---- step_container.c ---- */

/* Import, or make the container of an image that is there. Returns 0, or -1 with *err. */
int holder_begin_make(struct holder *holder, struct error *err);

/* Have a child do something. Returns 0, or -1 with *err. */
int holder_begin_work(struct holder *holder, enum step_work work, struct error *err);

/* Wait for a worker that has been told to end, or that has no reason not to. 0 for success. */
int holder_await_worker(struct holder *holder);

/* Begin what can be done before a task is there. Returns 0, or -1 with *err. */
int holder_begin(struct holder *holder, struct error *err);

/* Begin the start, now that the container is made and a task is there. 0, or -1 with *err. */
int holder_begin_start(struct holder *holder, struct error *err);

/* Take hold of the container that a process is in. Returns 0, or -1 with *err. */
int holder_enter(struct holder *holder, pid_t pid, bool has_result, struct error *err);
