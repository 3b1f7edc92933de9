/* What files below /proc/PID say. Pure. */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#define PROC_COMM_SIZE 64 /* proc_pid_comm(5): 16; kernel threads have up to 64 */

/* proc_pid_stat(5), of which this is what is needed. */
struct proc_stat {
        char comm[PROC_COMM_SIZE];
        char state;
        pid_t parent, group, session, foreground;
        long nice, threads;
        uint64_t start; /* clock ticks after boot */
};

/* False for text of another form. */
bool proc_stat_parse(const char *text, struct proc_stat *ret);

/*
 * The source of the mount at "/" in the text of proc_pid_mountinfo(5), the topmost one
 * if there are several. malloc'd; NULL when there is none (or no memory).
 */
char *proc_root_source(const char *text);

/* A number of proc_pid_status(5), as "Umask" (base 8). False when there is none. */
bool proc_status_number(const char *text, const char *field, int base, unsigned long *ret);
