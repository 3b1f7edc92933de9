/*
 * What a person sees on standard error: "[INFO] …" lines, coloured on a terminal
 * only, and there a progress line under them.
 */
#pragma once

#include <stdbool.h>

#include "util/error.h"
#include "util/report.h"

/* Prepare a report that prints its messages. Call once, before any other function here. */
void messages_init(struct report *report);

/*
 * Write to a file what is said from now on, too, as lines of JSON or of text. Warnings go
 * there instead, so that what starts containers finds nothing of them in their output.
 * Returns 0, or -1 with *err.
 */
int messages_log_to(const char *path, bool json, struct error *err);

void message_error(const char *text);
void message_warn(const char *text);

/*
 * Show the report's counters on a terminal until messages_progress_stop, from a
 * thread of its own. Does nothing elsewhere. Only for verbs that may have threads.
 */
void messages_progress_start(struct report *report);
void messages_progress_stop(void);
