/*
 * What a person sees on standard error: "[INFO] …" lines, coloured on a terminal
 * only, and there a progress line under them.
 */
#pragma once

#include "util/report.h"

/* Prepare a report that prints its messages. Call once, before any other function here. */
void messages_init(struct report *report);

void message_error(const char *text);
void message_warn(const char *text);

/*
 * Show the report's counters on a terminal until messages_progress_stop, from a
 * thread of its own. Does nothing elsewhere. Only for verbs that may have threads.
 */
void messages_progress_start(struct report *report);
void messages_progress_stop(void);
