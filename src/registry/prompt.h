/* Asking for a password at the controlling terminal. */
#pragma once

#include "util/error.h"

#define PROMPT_PASSWORD_LIMIT 4096

/*
 * Read a password without showing it. malloc'd *ret.
 *
 * Returns 0, or -1 with *err: ENXIO without a terminal, EINTR when a signal asked
 * to stop (util/cancel.h). The terminal's settings are put back in any case.
 */
int prompt_password(const char *user, const char *registry, char **ret, struct error *err);
