/*
 * The servers that a session may have the repository from: mirrors, then the registry
 * itself, in the order in which they are tried. Each has its own credentials.
 */
#pragma once

#include "registry/auth.h"
#include "registry/http.h"

struct registry;

struct endpoint {
        char *host; /* host[:port] */
        char *repository;
        char *base;       /* "https://HOST/v2/REPOSITORY/" */
        bool is_mirror;   /* another host than the one that the reference names */
        bool insecure;    /* any certificate will do */
        bool plain_retry; /* the one before over HTTP, should it not speak HTTPS */
        bool answered;    /* there was a response */
        struct auth auth;
};

/* Fill registry->endpoints from its reference and site. Returns 0, or -1 with *err. */
int endpoints_init(struct registry *registry, struct error *err);
void endpoints_release(struct registry *registry);

/* How to trust the server of a URL to which requests on behalf of the endpoint lead. */
const struct http_trust *endpoint_trust(struct registry *registry, const struct endpoint *endpoint,
                                        const char *url, struct error *err);
