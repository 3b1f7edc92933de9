/*
 * The places where credentials.c looks. Each returns 1 with *ret and has said where
 * it was found, 0 when it knows nobody, or -1 with *err.
 */
#pragma once

#include "registry/credentials.h"

/*
 * The credentials file. *ret_user is the user whom the file names for the registry
 * even where it has no password of his (to be released by the caller), else NULL.
 */
int credentials_from_netrc(const struct credential_query *query, struct report *report,
                           struct credential *ret, char **ret_user, struct error *err);

/* Podman's and Docker's files. One that cannot be read is warned about and left out. */
int credentials_from_auth_files(const struct credential_query *query, struct report *report,
                                struct credential *ret, struct error *err);
