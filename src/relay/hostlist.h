/*
 * Slurm's lists of hosts: "n[1-3,07],gpu[0-1]x[00-15]". Pure. Several brackets in one item
 * multiply, the last varies fastest; a first number's zeros are those of its range
 * (scontrol(1), "show hostlist").
 */
#pragma once

#include <stdint.h>

#include "util/error.h"

#define HOSTLIST_NAME_SIZE  256       /* with the NUL; a name of DNS is shorter */
#define HOSTLIST_NAME_LIMIT (1u << 20) /* names of a list; Slurm's nodes are 65536 at most */

/*
 * The name at an index, from 0. Returns 0; -1 with *err: ENOENT past the end, EINVAL for what
 * is no list up to there.
 */
int hostlist_name(const char *list, uint32_t index, char ret[HOSTLIST_NAME_SIZE],
                  struct error *err);
