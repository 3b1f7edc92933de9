/* The line grammar of enroot.conf; private to config/. */
#pragma once

#include <stddef.h>

#include "util/error.h"

/*
 * Call set for each line with an accepted key, value being unexpanded.
 *
 * name  of the file, for messages
 *
 * Returns 0, or -1 with *err naming file and line when a line is malformed or set
 * returned -1.
 */
int file_parse(const char *text, size_t length, const char *name,
               int (*set)(void *context, const char *key, const char *value, struct error *err),
               void *context, struct error *err);
