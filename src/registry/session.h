/* The state that the parts of registry/ share: one session with one repository. */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>

#include "registry/endpoint.h"
#include "registry/http.h"
#include "registry/registry.h"
#include "registry/site.h"
#include "registry/trust.h"

/* ENROOT_MAX_CONNECTIONS=0 means no limit; descriptors and memory have one. */
#define REGISTRY_CONNECTION_LIMIT 100u

#define REGISTRY_STALL_TIMEOUT 60 /* seconds without a byte after which a transfer has failed */

struct registry {
        const struct image_reference *ref;
        const struct registry_options *options;
        struct report *report;
        struct http_options http_options;
        struct http_client *http;
        struct site site;
        struct trust trust;
        struct endpoint *endpoints; /* at least one */
        size_t endpoint_count;
        struct endpoint *current; /* where transfers start */
        _Atomic bool stop;
};
