/*
 * What programs of the host see of a start, and what they say back: variables, and two
 * files, of the container's environment and of mounts still to be made, which they append
 * to or edit. What they wrote is data: parsed, never evaluated. Private to hooks/.
 *
 * Invariant: environ_text and mounts_text are what the files held when they were last
 * written or read here, and the first mount_count entries of the plan are the latter's.
 */
#pragma once

#include "hooks/hooks.h"

struct exchange {
        char *environ_path, *mounts_path, *script_path;
        struct strlist variables; /* the environment of the programs */
        struct strbuf environ_text, mounts_text;
        size_t mount_count;
};

void exchange_release(struct exchange *exchange);

/* Make the files in a directory and the variables that name them. 0, or -1 with *err. */
int exchange_open(struct exchange *exchange, const struct config *config, const char *directory,
                  const char *rootfs, pid_t pid, struct error *err);

/* The files get what environment and plan are. 0, or -1 with *err. */
int exchange_write(struct exchange *exchange, const struct strlist *environment,
                   const struct mount_plan *mounts, struct error *err);

/*
 * Environment and plan get what the files hold. who wrote them is for messages. Returns
 * 0, or -1 with *err.
 */
int exchange_read(struct exchange *exchange, struct strlist *environment,
                  struct mount_plan *mounts, const char *who, struct error *err);

/* The file of mounts becomes empty: those in it have been carried out. */
int exchange_clear_mounts(struct exchange *exchange, struct error *err);

/* Append the script that rc() of a start configuration has left. 0, or -1 with *err. */
int exchange_read_script(struct exchange *exchange, size_t limit, struct strbuf *script,
                         struct error *err);
