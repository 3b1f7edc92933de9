/* The environment that enroot-switchroot and enroot-nsenter give. Private to commands/. */
#pragma once

#include "util/error.h"
#include "util/strlist.h"

/*
 * Append the variables of a descriptor if it is not -1, else of a file if it is not NULL
 * (both in the form of /etc/environment), else of the process. 0, or -1 with *err.
 */
int helper_environment(int fd, const char *file, char *const *process, struct strlist *ret,
                       struct error *err);
