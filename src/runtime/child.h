/*
 * A child that goes on in place of this process, which stays behind as its stand-in:
 * only children get into another pid namespace.
 */
#pragma once

#include <signal.h>
#include <stdbool.h>
#include <sys/types.h>

#include "util/error.h"

struct stand_in {
        sigset_t mask;              /* of signals, as it was */
        struct sigaction old_child; /* what was done about SIGCHLD */
        int alive[2];               /* a pipe, whose end tells the child that we died */
        pid_t child;
        int terminal; /* -1: not ours to give */
        bool given;   /* the child's side has the terminal now */
        pid_t group;  /* that is in the foreground there */

        bool first;     /* the child is the first process of a pid namespace */
        pid_t listener; /* to the terminal's keys, in the child's group; 0: none */
        int ended_by;   /* the signal for which the child was killed; 0: none */
};

/*
 * Fork; with new_pids, the child is the first process of a new pid namespace. Returns 0
 * in the child, which goes on and dies with its parent; 1 in the parent, which calls
 * child_watch next. -1 with *err; a child that gets it exits as its parent would.
 */
int child_fork(struct stand_in *stand_in, bool new_pids, struct error *err);

/*
 * Pass signals, stops and the terminal on until the child has ended. Returns its wait(2)
 * status. Closes every descriptor but the standard ones.
 */
int child_watch(struct stand_in *stand_in);
