/* Starting a program, without a shell, from a process that may have threads. */
#pragma once

#include <sys/types.h>

#include "util/strlist.h"

struct launch {
        const char *const *argv;           /* NULL-terminated; the first is looked up in PATH */
        const struct strlist *environment; /* NULL: empty */
        int input, output, errors;         /* its standard descriptors; -1: those of this process */
};

/*
 * Start it with no signal blocked and SIGPIPE as usual: an import ignores SIGPIPE, and
 * threads of it block signals. *ret is its process id. Returns 0, or the error number
 * (ENOENT: there is no such program).
 */
int launch_program(const struct launch *launch, pid_t *ret);
