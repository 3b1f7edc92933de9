/*
 * Who the user is to a registry: an entry of the credentials file, or what is
 * typed at the terminal. Secrets stay in struct credential; no message shows them.
 */
#pragma once

#include "util/cleanup.h"
#include "util/error.h"
#include "util/report.h"
#include "util/strlist.h"

#define CREDENTIALS_FILE_LIMIT   (1u << 20)  /* bytes */
#define CREDENTIALS_SECRET_LIMIT (64u << 10) /* bytes of an expanded password */

struct credential {
        char *user, *password; /* both NULL: anonymous */
};

#define CREDENTIAL_INIT { .user = NULL }

void credential_release(struct credential *credential);
#define auto_credential auto_cleanup(credential_release)

/* Where to look. */
struct credential_query {
        const char *file;       /* need not exist */
        const char *registry;   /* host[:port] */
        const char *realm_host; /* host of the token server; NULL without one */
        const char *user;       /* of the reference; NULL: the registry's first entry decides */
        const struct strlist *environment; /* for passwords that a shell expands */
};

/*
 * Find the credential; anonymous when nothing is known and no user is asked for.
 * A user without an entry is asked for his password at the terminal.
 *
 * An entry for the token server's host counts only beside one for the registry
 * (or for Docker Hub's own pair): otherwise any registry could have a token for
 * somebody else's made, and be handed it.
 *
 * Returns 0, or -1 with *err naming the file and what to write there.
 */
int credentials_find(const struct credential_query *query, struct report *report,
                     struct credential *ret, struct error *err);
