/*
 * What site and user lay down about registries, read once for a session: the files
 * registries.conf, and the directories certs.d.
 */
#pragma once

#include "registry/http.h"
#include "registry/registries.h"

struct registry_options;

/* How one server is to be trusted; stays where it is for the session. */
struct site_host {
        struct site_host *next;
        char *name;    /* host[:port] */
        bool insecure; /* that of the endpoint that it was asked for */
        struct http_trust trust;
        int ca_fd; /* holds what trust.ca_file names; -1 */
        char ca_path[32];
        char *certificate, *key;
};

struct site {
        const struct registry_options *options;
        struct registries registries;
        struct site_host *hosts;
};

/*
 * Read the registries.conf files; none needs to exist. Later ones win:
 * containers' own (/etc/containers, the user's instead of it, or
 * CONTAINERS_REGISTRIES_CONF instead of both; drop-ins), then enroot's system and
 * user directories. Returns 0, or -1 with *err naming file and line.
 */
int site_load(struct site *site, const struct registry_options *options, struct error *err);
void site_release(struct site *site);

/*
 * How to trust the server of a URL. insecure is set for the endpoint that
 * registries.conf says so of; other servers (of redirects and tokens) are looked up by
 * their host. NULL with *err on failure.
 */
const struct http_trust *site_trust(struct site *site, const char *url, bool insecure,
                                    struct error *err);
