/*
 * env/: environments as plain values: parse, substitute, merge, filter. Pure but
 * for env_add_dir.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "util/error.h"
#include "util/strlist.h"

/*
 * The most variables in a list: /etc/environment comes with the image, merging is
 * quadratic, and execve takes no more than some 2 MiB anyway.
 */
#define ENV_VARIABLE_LIMIT 16384u

/* Largest environment file that is read, in bytes. */
#define ENV_FILE_LIMIT (1u << 20)

/* The value of name in a "KEY=VALUE" list (the last one counts), or NULL. */
const char *env_get(const struct strlist *env, const char *name);

/*
 * A variable that both the host and the container may set: the host's counts, as its user's
 * last word; empty and unset are the same. NULL when neither does.
 */
const char *env_setting(const struct strlist *host, const struct strlist *container,
                        const char *name);

/* Define or redefine a variable. Returns 0, or -1 without memory. */
int env_set(struct strlist *env, const char *name, const char *value);
int env_unset(struct strlist *env, const char *name);

/* Whether text could be a variable's name: [A-Za-z_][A-Za-z0-9_]*. */
bool env_name_valid(const char *text, size_t length);

/*
 * Merge an environment file into env: one KEY=VALUE a line, leading blanks and
 * comments skipped, malformed lines and ENROOT_* keys dropped, one pair of quotes
 * around a value removed, then ${VAR} in it replaced from substitutes (nothing when
 * undefined; NULL: left as it is); so what is put in is neither unquoted nor split into
 * lines. E2BIG past ENV_VARIABLE_LIMIT.
 */
int env_add_text(struct strlist *env, const char *text, size_t length,
                 const struct strlist *substitutes, struct error *err);

/* Merge dir/ *.env in name order; a missing directory is no error. */
int env_add_dir(struct strlist *env, const char *dir, const struct strlist *substitutes,
                struct error *err);

/*
 * Merge one --env word: KEY=VALUE, or KEY to take the value from the host's
 * environment (empty when undefined). ENROOT_* keys are dropped as in files; EINVAL
 * for anything else. The value is taken as it is.
 */
int env_add_word(struct strlist *env, const char *word, const struct strlist *host,
                 struct error *err);

/* Replace each ${VAR} in text from env; undefined ones vanish. malloc'd, or NULL without memory. */
char *env_substitute(const char *text, size_t length, const struct strlist *env);
