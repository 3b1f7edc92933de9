/*
 * The file of this program, and how it is kept from containers.
 *
 * Between entering a container and execve(2) a process of this program is there, and what it
 * executes may be this program again (a link to /proc/self/exe), so that its file can be
 * reached as /proc/PID/exe and written to once nobody executes it (CVE-2019-5736). Where
 * those inside are who may write to it, that is root, or the user for whom the program was
 * installed in a home directory, it executes a copy of itself in memory that nobody can
 * write to.
 */
#pragma once

#include <limits.h>

#include "util/error.h"

/* The path of the program's file, of the original in a copy. Returns 0, or -1 with errno. */
int own_program_path(char ret[PATH_MAX]);

/*
 * For commands that enter containers, before they do anything else: become a copy where that
 * is needed. Returns 0 where it is not, or is done; -1 with *err.
 */
int own_program_protect(char **argv, char **environment, struct error *err);
