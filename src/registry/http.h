/*
 * HTTP requests, several at once over kept connections. http.c is the only
 * user of libcurl.
 *
 * Knows nothing of registries: it follows no redirect, answers no challenge and
 * repeats nothing. What a request sends is what its struct says; the process's
 * own environment is not looked at.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "registry/retry.h"
#include "util/error.h"
#include "util/strlist.h"

/* The most bytes of header lines that a response may have. */
#define HTTP_HEADER_LIMIT (64u << 10)

/* How a server is trusted. */
struct http_trust {
        bool allow_http;               /* plain HTTP may be spoken */
        bool any_certificate;          /* that of the server is not verified */
        const char *ca_file;           /* authorities instead of the usual ones; NULL: those */
        const char *certificate, *key; /* of this client; NULL: none */
};

struct http_options {
        long connect_timeout;              /* seconds; 0: libcurl's own limit, 300 */
        long transfer_timeout;             /* seconds for one request; 0: no limit */
        long stall_timeout;                /* seconds without a byte; 0: no limit */
        unsigned int max_connections;      /* to one host */
        const struct strlist *environment; /* for proxies and certificates */
        const char *unix_socket;           /* path of the socket to send all over; NULL: TCP */
};

struct http_client;
struct http_exchange; /* libcurl's side of a request under way */

/* options and what they refer to must outlive the client. NULL with *err on failure. */
struct http_client *http_client_new(const struct http_options *options, struct error *err);
void http_client_free(struct http_client *client);

static inline void cleanup_http_client(struct http_client **client)
{
        if (*client)
                http_client_free(*client);
}
#define auto_http_client __attribute__((cleanup(cleanup_http_client)))

struct http_request {
        /* What to ask for; strings are borrowed until http_start returns. */
        const char *url;
        const struct http_trust *trust;
        const char *accept, *authorization; /* header values; NULL: not sent */
        const char *form;                   /* sent by POST (x-www-form-urlencoded); NULL: GET */
        uint64_t offset, end;               /* the bytes asked for; end 0: to the last one */

        /*
         * Takes the body of any response, as it comes, with .status and .headers
         * known. A failure ends the request.
         */
        int (*body)(struct http_request *request, const void *data, size_t size, struct error *err);
        void *context;

        /* What came. */
        bool finished;
        long status;            /* 0: no response */
        struct strlist headers; /* "Name: value" */
        char *redirect_url;     /* absolute; NULL unless the response is a redirect */
        struct error failure;   /* .code is 0 when the response came completely */
        enum retry_class retry; /* of a failure */

        struct http_exchange *exchange; /* NULL unless under way */
};

/* Send a request, which must stay where it is until it is finished or cancelled. */
int http_start(struct http_client *client, struct http_request *request, struct error *err);

/*
 * Let all requests under way go on until one finishes or timeout_ms have passed.
 * Returns 0; what happened to a request stands in it. -1 with *err only when the
 * client itself failed.
 */
int http_run(struct http_client *client, int timeout_ms, struct error *err);

/* Make a running http_run return. May be called from any thread. */
void http_wake(struct http_client *client);

/* Forget what came and, when it is under way, the request. */
void http_reset(struct http_client *client, struct http_request *request);

/* The value of the header number index of that name, or NULL. */
const char *http_header(const struct http_request *request, const char *name, size_t index);
