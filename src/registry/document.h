/* Small bodies that are read into memory: manifests, tokens. */
#pragma once

#include "registry/session.h"
#include "util/strbuf.h"

struct document_request {
        const char *path;          /* below the repository; or */
        const char *url;           /* absolute, with .authorization of its own */
        struct endpoint *endpoint; /* on whose behalf; NULL: the session's current one */
        const char *authorization; /* NULL: none */
        const char *form;          /* for a POST; NULL: GET */
        const char *accept;        /* NULL: anything */
        size_t limit;              /* largest size accepted, in bytes */
};

struct document {
        struct strbuf text;
        char *media_type; /* of the response, without parameters; NULL when it says nothing */
        char *digest;     /* Docker-Content-Digest; NULL when absent */
        struct endpoint *endpoint; /* that it came from */
};

#define DOCUMENT_INIT                                                                              \
        {                                                                                          \
                .media_type = NULL                                                                 \
        }

void document_release(struct document *document);
#define auto_document auto_cleanup(document_release)

/* Returns 0, or -1 with *err: EFBIG past the limit, otherwise that of the transfer. */
int document_get(struct registry *registry, const struct document_request *request,
                 struct document *ret, struct error *err);
