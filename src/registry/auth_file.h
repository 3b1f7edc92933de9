/*
 * Docker's config.json and Podman's auth.json (containers-auth.json(5)), and what a
 * credential helper answers. Pure: which helper must be asked is told, not done.
 */
#pragma once

#include "registry/credentials.h"

/* docker-credential-NAME: what a name may look like, so that it stays a file name. */
#define AUTH_FILE_HELPER_LIMIT 64

struct auth_file_query {
        const char *registry;   /* host[:port] */
        const char *repository; /* for entries that are for a part of a registry; may be NULL */
        const char *user;       /* NULL: any */
};

struct auth_file_answer {
        struct credential credential; /* or, when that is empty, */
        char *helper;                 /* the NAME of docker-credential-NAME */
};

#define AUTH_FILE_ANSWER_INIT                                                                      \
        {                                                                                          \
                .helper = NULL                                                                     \
        }

void auth_file_answer_release(struct auth_file_answer *answer);
#define auto_auth_file_answer auto_cleanup(auth_file_answer_release)

/*
 * What the file has for a registry. In this order: its entry in credHelpers, the
 * entry in auths for the longest part of REGISTRY/REPOSITORY, credsStore.
 * Returns 1, 0 when it has nothing, or -1 with *err (EBADMSG).
 */
int auth_file_find(const char *text, size_t length, const struct auth_file_query *query,
                   struct auth_file_answer *ret, struct error *err);

/* What a credential helper is asked about: the name under which docker login stored it. */
const char *auth_file_helper_server(const char *registry);

/*
 * The answer of a helper's "get". Returns 1, 0 when it knows nobody (or nobody of
 * that name; user may be NULL), or -1 with *err (EBADMSG).
 */
int auth_file_helper_answer(const char *text, size_t length, const char *user,
                            struct credential *ret, struct error *err);
