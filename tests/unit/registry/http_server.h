/*
 * An HTTP/1.1 server on loopback for tests, that answers what a test tells it to:
 * wrong, late, cut off. One thread accepts, each connection has one of its own and
 * carries one request.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct http_server;

struct server_request {
        char path[1024];                      /* with the query */
        char authorization[256], accept[512]; /* "" when absent */
        uint64_t range;                       /* first byte asked for; 0 without a Range header */
        bool has_range;
        unsigned int number; /* of this request at the server, from 0 */
};

struct server_reply {
        int status;         /* 200 */
        char headers[1024]; /* whole lines, each with \r\n */
        const void *body;   /* must stay until the server is stopped */
        size_t size;
        size_t cut;            /* bytes of the body after which the connection breaks */
        unsigned int stall_ms; /* pause in the middle of the body, until the client hangs up */
};

/* Called for one request at a time. */
typedef void server_handler(void *context, const struct server_request *request,
                            struct server_reply *reply);

struct http_server *http_server_start(server_handler *handler, void *context);
unsigned int http_server_port(const struct http_server *server);

/* Requests answered so far. */
unsigned int http_server_requests(struct http_server *server);
void http_server_stop(struct http_server *server);

/* Answer a request for a range as a server that can do so: 206 and the rest. */
void server_reply_range(struct server_reply *reply, const struct server_request *request,
                        const void *body, size_t size);
