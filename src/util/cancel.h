/*
 * Orderly end on Ctrl-C and SIGTERM, for commands that write files: the handler
 * only takes a note, loops ask for it, and the error path cleans up.
 */
#pragma once

#include <stdbool.h>

#include "util/error.h"

/* Take a note of SIGINT, SIGTERM and SIGHUP instead of dying from them, and ignore SIGPIPE. */
void cancel_install(void);

/* The signal that asked to stop, or 0. */
int cancel_signal(void);

/* 0, or -1 with *err (EINTR) once a signal asked to stop. Cheap enough for every block of data. */
int cancel_check(struct error *err);
