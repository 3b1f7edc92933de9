/*
 * Authorisation at a registry: the answer to its challenges, kept for the session
 * and renewed in time.
 *
 * The answer is for the registry's own origin. transfer.c never sends it
 * elsewhere, and never brings a challenge of another server here.
 */
#pragma once

#include <stdint.h>

#include "registry/challenge.h"
#include "registry/credentials.h"
#include "registry/http.h"

/* A token is renewed this long before it expires, in milliseconds. */
#define AUTH_EXPIRY_MARGIN_MS 5000

/* Bytes of a token, and of the document that brings it. */
#define AUTH_TOKEN_LIMIT (64u << 10)

struct registry;
struct endpoint;

struct auth {
        struct credential credential;
        bool looked_up;             /* credential is what is known */
        struct challenge challenge; /* the last one that was answered */
        char *header;               /* value for Authorization; NULL: none so far */
        unsigned int generation;    /* counts the values of header */
        int64_t expires;            /* CLOCK_MONOTONIC in milliseconds; INT64_MAX: never */
};

void auth_release(struct auth *auth);

/*
 * Answer the challenges of a 401 response of the registry itself.
 * Returns 0 with a new .header; -1 with *err (EACCES when credentials are missing
 * or refused, EPROTONOSUPPORT when no known scheme is offered).
 */
int auth_answer(struct registry *registry, struct endpoint *endpoint,
                const struct http_request *response, struct error *err);

/* Renew a token that is about to expire. Returns 0, or -1 with *err. */
int auth_refresh(struct registry *registry, struct endpoint *endpoint, struct error *err);

/* Append to a refusal which credentials were used, and how to give others. Always returns -1. */
int auth_explain(struct registry *registry, const struct endpoint *endpoint, struct error *err);

/* The value of an Authorization header with user and password (RFC 7617). malloc'd, or NULL. */
char *auth_basic(const char *user, const char *password);
