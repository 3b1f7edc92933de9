/*
 * Who the user is to a registry. Looked for in this order; the first that knows
 * somebody for the registry (and, when the reference names a user, that user) counts:
 *
 *      the environment        ENROOT_REGISTRY_USER, ENROOT_REGISTRY_PASSWORD
 *      the credentials file   netrc syntax
 *      Podman's and Docker's  auth.json, config.json, with their credential helpers
 *      the terminal           asked for the password of the reference's user
 *
 * Secrets stay in struct credential; no message shows them, no program gets them as
 * an argument.
 */
#pragma once

#include <stdbool.h>

#include "util/cleanup.h"
#include "util/error.h"
#include "util/report.h"
#include "util/strbuf.h"
#include "util/strlist.h"

#define CREDENTIALS_FILE_LIMIT   (1u << 20)  /* bytes */
#define CREDENTIALS_SECRET_LIMIT (64u << 10) /* bytes of an expanded password */

/* How long a credential helper, which may ask a server itself, may take, in seconds. */
#define CREDENTIALS_HELPER_TIMEOUT 60

struct credential {
        char *user, *password; /* both NULL: anonymous, or */
        char *identity_token;  /* an OAuth2 refresh token of the token server */
};

#define CREDENTIAL_INIT                                                                            \
        {                                                                                          \
                .user = NULL                                                                       \
        }

void credential_release(struct credential *credential);
#define auto_credential auto_cleanup(credential_release)

/* Release text that may hold a secret. */
void secret_release(struct strbuf *buf);
#define auto_secret auto_cleanup(secret_release)

/* Where to look. */
struct credential_query {
        const char *file;       /* netrc syntax; need not exist */
        const char *registry;   /* host[:port] */
        const char *repository; /* NULL: none in particular */
        const char *realm_host; /* host of the token server; NULL without one */
        const char *user;       /* of the reference; NULL: the registry's first entry decides */
        bool is_mirror;         /* not the registry that the user named */
        const struct strlist
                *environment; /* of the user; also for passwords that a shell expands */
};

/*
 * Find the credential; anonymous when nothing is known and no user is asked for.
 *
 * An entry of the credentials file for the token server's host counts only beside
 * one for the registry (or for Docker Hub's own pair): otherwise any registry could
 * have a token for somebody else's made, and be handed it.
 *
 * Returns 0, or -1 with *err naming the file and what to write there.
 */
int credentials_find(const struct credential_query *query, struct report *report,
                     struct credential *ret, struct error *err);
