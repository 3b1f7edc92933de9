/*
 * A program of the host that takes part in a start: a site hook, or the bash of a start
 * configuration. Private to hooks/.
 *
 * It has every capability of the namespaces, like the process that starts it, and the
 * host's environment; the caller's standard input and standard error. When the process
 * that started it dies, it is killed.
 */
#pragma once

#include <sys/types.h>

#include "util/error.h"

struct process {
        pid_t pid; /* 0: none */
        int input; /* becomes its standard input; 0: it has the caller's */
        const char *path; /* what is executed; NULL: argv[0] */
};

#define PROCESS_INIT { .pid = 0 }

/* Close descriptors that it still waits for first: this waits for its end. */
void process_release(struct process *process);
#define auto_process auto_cleanup(process_release)

/*
 * Start argv[0], an absolute path, or a name that is looked up in the PATH of
 * environment. A text file without "#!" is read by bash, as when bash executes it.
 *
 * fds  which descriptor becomes 1, 2, 3 … of the program; -1 leaves that one as it is
 *
 * Returns 0 once the program runs, or -1 with *err.
 */
int process_start(struct process *process, char *const *argv, char *const *environment,
                  const int *fds, size_t fd_count, struct error *err);

/*
 * Wait until the program has ended or there is something to read from reply_fd (-1: none).
 *
 * A signal that would end this process in the meantime is passed on to the program,
 * which gets a moment to end; then it and what it has started are killed, and the signal
 * takes its course here. Without this, Ctrl-C could leave programs of a hook behind.
 *
 * Returns 1 when there is something to read, 0 when it has ended and *ret_status is as
 * waitpid(2) has it, or -1 with *err.
 */
int process_wait(struct process *process, int reply_fd, int *ret_status, struct error *err);

/* What a failed program says of itself: "WHAT exited with return code N". Always -1. */
int process_failed(const char *what, int status, struct error *err);
