/*
 * A program whose standard output is read as a stream. What it says on standard
 * error becomes part of the error when it fails.
 */
#pragma once

#include <sys/types.h>

#include "util/stream.h"
#include "util/strlist.h"

struct program {
        const char *name; /* borrowed */
        pid_t pid;        /* 0: not running */
        int errors;       /* a file with its standard error; -1 */
};

#define PROGRAM_INIT                                                                               \
        {                                                                                          \
                .errors = -1                                                                       \
        }

/*
 * Start it, found in PATH, with no standard input. No shell is involved.
 * Returns its output; NULL with *err: ENOENT when there is no such program.
 */
struct stream *program_start(struct program *program, const char *const *argv,
                             const struct strlist *environment, struct error *err);

/* Wait for its end after all its output was read. -1 with *err when its status is not 0. */
int program_finish(struct program *program, struct error *err);

/* Kill it if it still runs. Safe on an initialised struct. */
void program_release(struct program *program);
#define auto_program __attribute__((cleanup(program_release)))
