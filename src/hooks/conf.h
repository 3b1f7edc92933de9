/*
 * A start configuration (--conf, batch): a bash script that may define environ(),
 * mounts(), hooks() and rc(). One bash reads it and stays until the last function has
 * been called, so that they share their variables. Private to hooks/.
 */
#pragma once

#include <stdbool.h>

#include "hooks/exchange.h"
#include "hooks/process.h"

enum conf_function {
        CONF_ENVIRON,
        CONF_MOUNTS,
        CONF_HOOKS,
        CONF_RC,
        CONF_FUNCTIONS,
};

struct conf {
        const char *path; /* borrowed; NULL: there is none, and no function either */
        struct process process;
        int fd; /* the socket to bash */
        bool defined[CONF_FUNCTIONS];
};

#define CONF_INIT { .fd = -1 }

void conf_release(struct conf *conf);

/*
 * Let bash read the configuration, whose top level may do anything, too.
 *
 * command  of the container, which the configuration has as its arguments
 *
 * Returns 0, or -1 with *err.
 */
int conf_open(struct conf *conf, const char *path, char *const *command,
              const struct exchange *exchange, struct error *err);

/* Call a function if it is defined. What it has written is for the caller to read. */
int conf_call(struct conf *conf, enum conf_function function, struct error *err);

/* "FILE: NAME()" for messages: malloc'd, or NULL without memory. */
char *conf_function_name(const struct conf *conf, enum conf_function function);
