#include "http_server.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "util/cleanup.h"

#define REQUEST_LIMIT 8192

struct http_server {
        int fd;
        unsigned int port, requests, connections;
        server_handler *handler;
        void *context;
        pthread_t thread;
        pthread_mutex_t lock;
        pthread_cond_t idle;
};

struct connection {
        struct http_server *server;
        int fd;
};

static bool send_all(int fd, const void *data, size_t size)
{
        const char *from = data;

        while (size > 0) {
                ssize_t n = send(fd, from, size, MSG_NOSIGNAL);

                if (n <= 0)
                        return false;
                from += n;
                size -= (size_t)n;
        }
        return true;
}

/* Read up to the empty line. */
static bool read_request(int fd, char text[REQUEST_LIMIT])
{
        size_t length = 0;

        while (length < REQUEST_LIMIT - 1) {
                ssize_t n = recv(fd, text + length, REQUEST_LIMIT - 1 - length, 0);

                if (n <= 0)
                        return false;
                length += (size_t)n;
                text[length] = '\0';
                if (strstr(text, "\r\n\r\n"))
                        return true;
        }
        return false;
}

static void copy_header(const char *text, const char *name, char *value, size_t size)
{
        const char *line = strcasestr(text, name);

        *value = '\0';
        if (line)
                (void)snprintf(value, size, "%.*s", (int)strcspn(line + strlen(name), "\r"),
                               line + strlen(name));
}

static void parse_request(const char *text, struct server_request *request)
{
        char range[64];

        *request = (struct server_request){ .number = 0 };
        (void)sscanf(text, "GET %1023s", request->path);
        copy_header(text, "\r\nAuthorization: ", request->authorization,
                    sizeof(request->authorization));
        copy_header(text, "\r\nAccept: ", request->accept, sizeof(request->accept));
        copy_header(text, "\r\nRange: bytes=", range, sizeof(range));
        request->has_range = range[0] != '\0';
        request->range = strtoull(range, NULL, 10);
}

static void send_reply(int fd, const struct server_reply *reply)
{
        char head[2048];
        size_t size = reply->cut < reply->size ? reply->cut : reply->size;
        size_t half = size / 2;
        struct pollfd client = { .fd = fd, .events = POLLIN }; /* says no more: this is its end */

        (void)snprintf(
                head, sizeof(head),
                "HTTP/1.1 %d Some reason\r\nConnection: close\r\nContent-Length: %zu\r\n%s\r\n",
                reply->status, reply->size, reply->headers);
        if (!send_all(fd, head, strlen(head)) || !send_all(fd, reply->body, half))
                return;
        if (reply->stall_ms > 0)
                (void)poll(&client, 1, (int)reply->stall_ms);
        (void)send_all(fd, (const char *)reply->body + half, size - half);
}

static void *serve_connection(void *argument)
{
        struct connection *connection = argument;
        struct http_server *server = connection->server;
        struct server_reply reply = { .status = 200, .cut = SIZE_MAX, .body = "" };
        struct server_request request;
        char text[REQUEST_LIMIT];

        if (read_request(connection->fd, text)) {
                parse_request(text, &request);
                (void)pthread_mutex_lock(&server->lock);
                request.number = server->requests++;
                server->handler(server->context, &request, &reply);
                (void)pthread_mutex_unlock(&server->lock);
                send_reply(connection->fd, &reply);
        }
        (void)close(connection->fd);
        free(connection);

        (void)pthread_mutex_lock(&server->lock);
        server->connections--;
        (void)pthread_cond_signal(&server->idle);
        (void)pthread_mutex_unlock(&server->lock);
        return NULL;
}

static void *serve(void *argument)
{
        struct http_server *server = argument;

        for (;;) {
                int fd = accept4(server->fd, NULL, NULL, SOCK_CLOEXEC);
                struct connection *connection;
                pthread_t thread;

                if (fd < 0 && errno == ECONNABORTED)
                        continue;
                if (fd < 0)
                        return NULL;
                connection = malloc(sizeof(*connection));
                if (!connection)
                        abort();
                *connection = (struct connection){ .server = server, .fd = fd };
                (void)pthread_mutex_lock(&server->lock);
                server->connections++;
                (void)pthread_mutex_unlock(&server->lock);
                if (pthread_create(&thread, NULL, serve_connection, connection) != 0)
                        abort();
                (void)pthread_detach(thread);
        }
}

struct http_server *http_server_start(server_handler *handler, void *context)
{
        struct http_server *server = calloc(1, sizeof(*server));
        struct sockaddr_in address = { .sin_family = AF_INET };
        socklen_t length = sizeof(address);

        if (!server)
                abort();
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        server->handler = handler;
        server->context = context;
        (void)pthread_mutex_init(&server->lock, NULL);
        (void)pthread_cond_init(&server->idle, NULL);
        server->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (server->fd < 0 || bind(server->fd, (struct sockaddr *)&address, sizeof(address)) < 0 ||
            listen(server->fd, 64) < 0 ||
            getsockname(server->fd, (struct sockaddr *)&address, &length) < 0 ||
            pthread_create(&server->thread, NULL, serve, server) != 0)
                abort();
        server->port = ntohs(address.sin_port);
        return server;
}

unsigned int http_server_port(const struct http_server *server)
{
        return server->port;
}

unsigned int http_server_requests(struct http_server *server)
{
        unsigned int requests;

        (void)pthread_mutex_lock(&server->lock);
        requests = server->requests;
        (void)pthread_mutex_unlock(&server->lock);
        return requests;
}

void http_server_stop(struct http_server *server)
{
        (void)shutdown(server->fd, SHUT_RDWR);
        (void)pthread_join(server->thread, NULL);
        (void)close(server->fd);
        (void)pthread_mutex_lock(&server->lock);
        while (server->connections > 0)
                (void)pthread_cond_wait(&server->idle, &server->lock);
        (void)pthread_mutex_unlock(&server->lock);
        (void)pthread_cond_destroy(&server->idle);
        (void)pthread_mutex_destroy(&server->lock);
        free(server);
}

void server_reply_range(struct server_reply *reply, const struct server_request *request,
                        const void *body, size_t size)
{
        reply->body = body;
        reply->size = size;
        if (!request->has_range || request->range > size)
                return;
        reply->status = 206;
        reply->body = (const char *)body + request->range;
        reply->size = size - request->range;
        (void)snprintf(reply->headers + strlen(reply->headers),
                       sizeof(reply->headers) - strlen(reply->headers),
                       "Content-Range: bytes %llu-%zu/%zu\r\n", (unsigned long long)request->range,
                       size - 1, size);
}
