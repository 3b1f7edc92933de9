/*
 * The netrc syntax of the credentials file. Pure.
 *
 * Words may stand on one line or on several; "#" where a keyword is expected makes
 * the rest of the line a comment. One rule is not netrc's own but the classic
 * tool's: a password that starts with "$" reaches to the end of its line and is
 * expanded by a shell. A login that starts with "$" ($oauthtoken) is meant as it is.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "util/error.h"

struct netrc_entry {
        char *machine;          /* NULL for the entry "default" */
        char *login, *password; /* may be NULL */
        bool expand;            /* password is shell text */
};

struct netrc {
        struct netrc_entry *entries; /* in the order of the file */
        size_t count;
        unsigned int odd_line; /* the first line with a word that means nothing; 0: none */
};

/* More machines than anyone has, in a file that the user wrote. */
#define NETRC_ENTRY_LIMIT 10000u

/* Returns 0, or -1 with *err (ENOMEM, E2BIG, EINVAL for a quote that is never closed). */
int netrc_parse(const char *text, struct netrc *ret, struct error *err);
void netrc_release(struct netrc *netrc);

/*
 * The first entry for a machine (NULL: the entry "default") and, unless it is NULL,
 * a login. Machines compare without regard to case. NULL when there is none.
 */
const struct netrc_entry *netrc_find(const struct netrc *netrc, const char *machine,
                                     const char *login);
