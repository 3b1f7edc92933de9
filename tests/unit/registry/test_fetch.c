/*
 * registry/: requests against a server that fails in every way that a test can
 * think of.
 */
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "http_server.h"
#include "registry/http.h"
#include "registry/registry.h"
#include "registry/transfer.h"
#include "util/clock.h"

#define BLOB_SIZE  (3u << 20)
#define BLOB_COUNT 4

static unsigned char content[BLOB_SIZE];

/* ---- a session with the server, and blobs that land in memory ---- */

struct log {
        struct report base;
        char text[16384];
};

struct memory_blob {
        struct registry_blob base;
        struct image_descriptor descriptor;
        struct strbuf data;
        unsigned int begun, ended, put_off;
        struct error failure;
};

struct session {
        struct http_server *server;
        struct image_reference ref;
        struct registry_options options;
        struct log log;
        struct registry *registry;
        struct memory_blob blobs[BLOB_COUNT];
        struct registry_blob sinks[BLOB_COUNT];
        char registry_name[64];
};

static void take_message(struct report *report, enum report_level level, const char *text)
{
        struct log *log = (struct log *)report;
        size_t length = strlen(log->text);

        (void)level;
        (void)snprintf(log->text + length, sizeof(log->text) - length, "%s\n", text);
}

static int memory_begin(struct registry_blob *sink, uint64_t *ret_offset, struct error *err)
{
        struct memory_blob *blob = sink->context;

        (void)err;
        blob->begun++;
        *ret_offset = blob->data.length;
        if (blob->put_off == 0)
                return 0;
        blob->put_off--;
        return blob->put_off == 0 ? 2 : 1;
}

static int memory_data(struct registry_blob *sink, const void *data, size_t size, struct error *err)
{
        struct memory_blob *blob = sink->context;

        if (size > blob->descriptor.size - blob->data.length)
                return error_set(err, EMSGSIZE, "too much");
        return strbuf_append_mem(&blob->data, data, size);
}

static int memory_end(struct registry_blob *sink, const struct error *failure, struct error *err)
{
        struct memory_blob *blob = sink->context;

        blob->ended++;
        if (failure) {
                blob->failure = *failure;
                return 0;
        }
        return blob->data.length == blob->descriptor.size ? 0 : error_set(err, EMSGSIZE, "short");
}

static void session_init(struct session *session, server_handler *handler, void *context)
{
        struct error err = ERROR_INIT;

        *session = (struct session){ .log.base.message = take_message };
        session->server = http_server_start(handler, context);
        (void)snprintf(session->registry_name, sizeof(session->registry_name), "127.0.0.1:%u",
                       http_server_port(session->server));
        session->ref = (struct image_reference){ .registry = session->registry_name,
                                                 .repository = (char *)"test/app",
                                                 .tag = (char *)"latest" };
        session->options = (struct registry_options){ .allow_http = true,
                                                      .connect_timeout = 5,
                                                      .max_connections = 2,
                                                      .credentials_file = "/nonexistent" };
        session->registry =
                registry_open(&session->ref, &session->options, &session->log.base, &err);
        assert_non_null(session->registry);
        for (unsigned int i = 0; i < BLOB_COUNT; i++) {
                struct memory_blob *blob = &session->blobs[i];

                (void)snprintf(blob->descriptor.digest, IMAGE_DIGEST_SIZE, "sha256:%064x", i);
                blob->descriptor.size = BLOB_SIZE;
                session->sinks[i] = (struct registry_blob){ .descriptor = &blob->descriptor,
                                                            .context = blob,
                                                            .begin = memory_begin,
                                                            .data = memory_data,
                                                            .end = memory_end };
        }
}

static void session_release(struct session *session)
{
        registry_close(session->registry);
        http_server_stop(session->server);
        for (size_t i = 0; i < BLOB_COUNT; i++)
                strbuf_release(&session->blobs[i].data);
}

static int fetch(struct session *session, size_t count, struct error *err)
{
        *err = (struct error)ERROR_INIT;
        return registry_fetch(session->registry, session->sinks, count, err);
}

static void assert_fetched(struct session *session, size_t count)
{
        struct error err;

        if (fetch(session, count, &err) < 0)
                fail_msg("%s", err.message);
        for (size_t i = 0; i < count; i++) {
                assert_int_equal(session->blobs[i].data.length, BLOB_SIZE);
                assert_memory_equal(session->blobs[i].data.data, content, BLOB_SIZE);
                assert_int_equal(session->blobs[i].ended, 1);
        }
}

static void assert_fails(struct session *session, size_t count, int code, const char *words)
{
        struct error err;

        assert_int_equal(fetch(session, count, &err), -1);
        if (err.code != code || !strstr(err.message, words))
                fail_msg("%d: %s", err.code, err.message);
        for (size_t i = 0; i < count; i++)
                assert_int_equal(session->blobs[i].ended, 1);
}

static void serve_content(struct server_reply *reply, const struct server_request *request)
{
        server_reply_range(reply, request, content, sizeof(content));
}

static void add_header(struct server_reply *reply, const char *fmt, ...)
        __attribute__((format(printf, 2, 3)));
static void add_header(struct server_reply *reply, const char *fmt, ...)
{
        size_t length = strlen(reply->headers);
        va_list args;

        va_start(args, fmt);
        (void)vsnprintf(reply->headers + length, sizeof(reply->headers) - length, fmt, args);
        va_end(args);
        strcat(reply->headers, "\r\n");
}

/* ---- things that go right, or right at last ---- */

static void handle_plain(void *context, const struct server_request *request,
                         struct server_reply *reply)
{
        (void)context;
        assert_ptr_equal(strstr(request->path, "/v2/test/app/blobs/sha256:"), request->path);
        serve_content(reply, request);
}

static void test_plain(void **state)
{
        struct session session;

        (void)state;
        session_init(&session, handle_plain, NULL);
        assert_fetched(&session, BLOB_COUNT);
        assert_int_equal(http_server_requests(session.server), BLOB_COUNT);
        session_release(&session);
}

static void test_put_off(void **state)
{
        struct session session;
        struct error err;

        (void)state;
        session_init(&session, handle_plain, NULL);
        session.blobs[0].put_off = 3;
        assert_int_equal(fetch(&session, 2, &err), 0);
        assert_int_equal(session.blobs[0].begun, 3);
        assert_int_equal(session.blobs[0].ended, 0);
        assert_int_equal(session.blobs[1].ended, 1);
        assert_int_equal(http_server_requests(session.server), 1);
        session_release(&session);
}

enum flaw {
        FLAW_CUT,
        FLAW_CUT_NO_RANGES,
        FLAW_CUT_SHORT_LENGTH,
        FLAW_RANGE_REFUSED,
        FLAW_500,
        FLAW_429,
        FLAW_GARBAGE,
        FLAW_EARLIER_RANGE,
        FLAW_WRONG_RANGE,
};

/* The first request goes wrong, the later ones go right. */
static void handle_flaw(void *context, const struct server_request *request,
                        struct server_reply *reply)
{
        enum flaw flaw = *(enum flaw *)context;

        if (request->number == 0 && flaw == FLAW_500) {
                reply->status = 500;
                return;
        }
        if (request->number == 0 && flaw == FLAW_429) {
                reply->status = 429;
                add_header(reply, "Retry-After: 1");
                return;
        }
        if (request->number == 0) {
                serve_content(reply, request);
                if (flaw == FLAW_CUT_SHORT_LENGTH)
                        reply->size = BLOB_SIZE / 3;
                reply->cut = BLOB_SIZE / 3;
                return;
        }
        if (flaw == FLAW_CUT_NO_RANGES) {
                reply->body = content;
                reply->size = sizeof(content);
        } else if (flaw == FLAW_RANGE_REFUSED && request->has_range) {
                reply->status = 416;
        } else if (flaw == FLAW_EARLIER_RANGE) {
                struct server_request earlier = *request;

                earlier.range -= 1000;
                serve_content(reply, &earlier);
        } else if (flaw == FLAW_WRONG_RANGE) {
                struct server_request later = *request;

                later.range += 1000;
                serve_content(reply, &later);
        } else {
                serve_content(reply, request);
        }
}

static void test_flaws(void **state)
{
        static const struct {
                enum flaw flaw;
                unsigned int requests;
                int64_t least_ms;
        } cases[] = {
                { FLAW_CUT, 2, 100 },
                { FLAW_CUT_NO_RANGES, 2, 100 },
                { FLAW_CUT_SHORT_LENGTH, 2, 0 },
                { FLAW_RANGE_REFUSED, 3, 0 },
                { FLAW_500, 2, 100 },
                { FLAW_429, 2, 1000 },
                { FLAW_EARLIER_RANGE, 2, 0 },
        };

        (void)state;
        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                enum flaw flaw = cases[i].flaw;
                int64_t start = clock_ms();
                struct session session;

                session_init(&session, handle_flaw, &flaw);
                assert_fetched(&session, 1);
                assert_int_equal(http_server_requests(session.server), cases[i].requests);
                assert_true(clock_ms() - start >= cases[i].least_ms);
                assert_non_null(strstr(session.log.text, "trying again"));
                session_release(&session);
        }
}

static void test_wrong_range(void **state)
{
        enum flaw flaw = FLAW_WRONG_RANGE;
        struct session session;

        (void)state;
        session_init(&session, handle_flaw, &flaw);
        assert_fails(&session, 1, EPROTO, "another part of the file");
        session_release(&session);
}

/* ---- things that go wrong ---- */

static void handle_status(void *context, const struct server_request *request,
                          struct server_reply *reply)
{
        static const char problem[] =
                "{\"errors\":[{\"code\":\"DENIED\",\"message\":\"not \\u001b[31mfor you\"}]}";

        (void)request;
        reply->status = *(int *)context;
        reply->body = problem;
        reply->size = strlen(problem);
        if (reply->status == 429)
                add_header(reply, "Retry-After: 3600");
}

static void test_status(void **state)
{
        static const struct {
                int status, code;
                const char *words;
        } cases[] = {
                { 404, ENOENT, "404 (DENIED: not  [31mfor you)" },
                { 403, EACCES, "machine 127.0.0.1 login USER" },
                { 401, EPROTONOSUPPORT, "neither Bearer nor Basic" },
                { 418, EIO, "418" },
                { 429, EBUSY, "asks to wait 3600 seconds" },
                { 302, EIO, "302" },
        };

        (void)state;
        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                int status = cases[i].status;
                struct session session;

                session_init(&session, handle_status, &status);
                assert_fails(&session, 2, cases[i].code, cases[i].words);
                assert_in_range(http_server_requests(session.server), 1, 2);
                session_release(&session);
        }
}

static void test_too_much(void **state)
{
        struct session session;

        (void)state;
        session_init(&session, handle_plain, NULL);
        session.blobs[0].descriptor.size = 1000;
        assert_fails(&session, 1, EMSGSIZE, "too much");
        assert_int_equal(http_server_requests(session.server), 1);
        session_release(&session);
}

static void handle_headers(void *context, const struct server_request *request,
                           struct server_reply *reply)
{
        (void)context;
        (void)request;
        for (int i = 0; i < 40; i++)
                add_header(reply, "X-%d: %010d", i, i);
}

static void test_unreachable(void **state)
{
        struct session session;
        struct http_server *gone = http_server_start(handle_headers, NULL);
        unsigned int port = http_server_port(gone);

        (void)state;
        http_server_stop(gone);
        session_init(&session, handle_plain, NULL);
        registry_close(session.registry);
        (void)snprintf(session.registry_name, sizeof(session.registry_name), "127.0.0.1:%u", port);
        {
                struct error err = ERROR_INIT;

                session.registry =
                        registry_open(&session.ref, &session.options, &session.log.base, &err);
                assert_non_null(session.registry);
        }
        assert_fails(&session, 1, ECONNREFUSED, "ENROOT_ALLOW_HTTP");
        session_release(&session);
}

/* A blob that a hundred times over breaks off after a few bytes does not go on for ever. */
static void handle_trickle(void *context, const struct server_request *request,
                           struct server_reply *reply)
{
        (void)context;
        serve_content(reply, request);
        reply->cut = 1000;
}

static void test_trickle(void **state)
{
        struct session session;

        (void)state;
        session_init(&session, handle_trickle, NULL);
        assert_fails(&session, 1, ECONNRESET, "after 5 tries");
        assert_int_equal(http_server_requests(session.server), RETRY_MINIMUM + 1);
        session_release(&session);
}

/* ---- redirects ---- */

struct redirect {
        struct http_server *storage;
        unsigned int port; /* of the registry */
        unsigned int stored, leaked;
        bool expire; /* the first address is refused */
};

static void handle_storage(void *context, const struct server_request *request,
                           struct server_reply *reply)
{
        struct redirect *redirect = context;

        redirect->leaked += request->authorization[0] != '\0';
        if (redirect->stored++ == 0 && redirect->expire) {
                reply->status = 403;
                return;
        }
        serve_content(reply, request);
}

static void handle_redirect(void *context, const struct server_request *request,
                            struct server_reply *reply)
{
        struct redirect *redirect = context;
        static const char token[] = "{\"token\":\"secret\",\"expires_in\":300}";

        if (strncmp(request->path, "/token?", 7) == 0) {
                reply->body = token;
                reply->size = strlen(token);
        } else if (strcmp(request->authorization, "Bearer secret") != 0) {
                reply->status = 401;
                add_header(reply, "WWW-Authenticate: Bearer realm=\"http://127.0.0.1:%u/token\"",
                           redirect->port);
        } else {
                reply->status = 307;
                add_header(reply, "Location: http://127.0.0.1:%u%s",
                           http_server_port(redirect->storage), request->path);
        }
}

static void test_redirect(void **state)
{
        (void)state;
        for (int expire = 0; expire < 2; expire++) {
                struct redirect redirect = { .expire = expire };
                struct session session;

                redirect.storage = http_server_start(handle_storage, &redirect);
                session_init(&session, handle_redirect, &redirect);
                redirect.port = http_server_port(session.server);
                assert_fetched(&session, 1);
                assert_int_equal(redirect.leaked, 0);
                assert_int_equal(redirect.stored, 1 + expire);
                session_release(&session);
                http_server_stop(redirect.storage);
        }
}

static void handle_loop(void *context, const struct server_request *request,
                        struct server_reply *reply)
{
        const char *const *target = context;

        reply->status = 302;
        add_header(reply, "Location: %s", *target ? *target : request->path);
}

static void test_bad_redirects(void **state)
{
        static const struct {
                const char *target;
                int code;
                const char *words;
        } cases[] = {
                { NULL, ELOOP, "more than 10 redirects" },
                { "file:///etc/passwd", EPROTO, "not one of HTTP" },
                { "ftp://127.0.0.1/x", EPROTO, "not one of HTTP" },
        };

        (void)state;
        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                const char *target = cases[i].target;
                struct session session;

                session_init(&session, handle_loop, &target);
                assert_fails(&session, 1, cases[i].code, cases[i].words);
                session_release(&session);
        }
}

/* ---- tokens ---- */

struct tokens {
        unsigned int port, issued, valid; /* valid: the number of the one token that is */
        unsigned int expire_after;        /* requests with a token */
        unsigned int used;
        bool refuse; /* no token is ever good */
        unsigned int expires_in;
        char last_query[512];
        char body[64];
};

static void handle_tokens(void *context, const struct server_request *request,
                          struct server_reply *reply)
{
        struct tokens *tokens = context;
        char expected[64];

        if (strncmp(request->path, "/auth?", 6) == 0) {
                tokens->valid = ++tokens->issued;
                tokens->used = 0;
                (void)snprintf(tokens->last_query, sizeof(tokens->last_query), "%.500s",
                               request->path);
                (void)snprintf(tokens->body, sizeof(tokens->body),
                               "{\"access_token\":\"t%u\",\"expires_in\":%u}", tokens->issued,
                               tokens->expires_in);
                reply->body = tokens->body;
                reply->size = strlen(tokens->body);
                return;
        }
        (void)snprintf(expected, sizeof(expected), "Bearer t%u", tokens->valid);
        if (tokens->refuse || tokens->issued == 0 ||
            strcmp(request->authorization, expected) != 0 ||
            (tokens->expire_after && tokens->used++ >= tokens->expire_after)) {
                reply->status = 401;
                add_header(reply, "WWW-Authenticate: Basic realm=\"x\"");
                add_header(reply,
                           "WWW-Authenticate: Bearer realm=\"http://127.0.0.1:%u/auth?a=b\","
                           "service=\"the service\"",
                           tokens->port);
                return;
        }
        serve_content(reply, request);
        /* Break off early, so that the blob needs another request after the token expired. */
        if (tokens->expire_after)
                reply->cut = (1u << 20) + 1;
}

static void test_token(void **state)
{
        struct tokens tokens = { .expires_in = 300 };
        struct session session;

        (void)state;
        session_init(&session, handle_tokens, &tokens);
        tokens.port = http_server_port(session.server);
        assert_fetched(&session, BLOB_COUNT);
        assert_int_equal(tokens.issued, 1);
        assert_string_equal(tokens.last_query,
                            "/auth?a=b&service=the%20service&scope=repository%3Atest%2Fapp%3Apull");
        assert_null(strstr(session.log.text, "t1"));
        session_release(&session);
}

static void test_token_expires_in_the_middle(void **state)
{
        struct tokens tokens = { .expires_in = 300, .expire_after = 5 };
        struct session session;

        (void)state;
        session_init(&session, handle_tokens, &tokens);
        tokens.port = http_server_port(session.server);
        assert_fetched(&session, BLOB_COUNT);
        assert_true(tokens.issued > 1);
        session_release(&session);
}

static void test_token_of_no_use(void **state)
{
        (void)state;
        for (unsigned int expires_in = 0; expires_in < 2; expires_in++) {
                struct tokens tokens = { .expires_in = expires_in * 300, .refuse = true };
                struct session session;

                session_init(&session, handle_tokens, &tokens);
                tokens.port = http_server_port(session.server);
                assert_fails(&session, 3, EACCES, "no repository test/app, or no access");
                assert_true(http_server_requests(session.server) < 30);
                session_release(&session);
        }
}

/* ---- passwords ---- */

static char credentials[] = "/tmp/enroot-test-fetch-XXXXXX";

struct passwords {
        unsigned int port;
        bool with_token; /* they buy a token; otherwise they are given to the registry itself */
        unsigned int given;
};

static void handle_passwords(void *context, const struct server_request *request,
                             struct server_reply *reply)
{
        static const char token[] = "{\"token\":\"bought\"}";
        struct passwords *passwords = context;
        bool is_auth = strncmp(request->path, "/auth?", 6) == 0;
        /* alice:wonder */
        const char *expected =
                passwords->with_token && !is_auth ? "Bearer bought" : "Basic YWxpY2U6d29uZGVy";

        passwords->given += strncmp(request->authorization, "Basic", 5) == 0;
        if (strcmp(request->authorization, expected) != 0) {
                reply->status = 401;
                if (passwords->with_token)
                        add_header(reply,
                                   "WWW-Authenticate: Bearer realm=\"http://127.0.0.1:%u/auth\"",
                                   passwords->port);
                else
                        add_header(reply, "WWW-Authenticate: Basic realm=\"x\"");
        } else if (is_auth) {
                reply->body = token;
                reply->size = strlen(token);
        } else {
                serve_content(reply, request);
        }
}

static void test_passwords(void **state)
{
        static const struct {
                const char *password;
                bool with_token, right;
        } cases[] = {
                { "wonder", false, true },
                { "wonder", true, true },
                { "wrong", false, false },
                { "wrong", true, false },
        };

        (void)state;
        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                struct passwords passwords = { .with_token = cases[i].with_token };
                FILE *file = fopen(credentials, "w");
                struct session session;

                assert_non_null(file);
                (void)fprintf(file, "machine 127.0.0.1 login alice password %s\n",
                              cases[i].password);
                assert_int_equal(fclose(file), 0);
                session_init(&session, handle_passwords, &passwords);
                session.options.credentials_file = credentials;
                passwords.port = http_server_port(session.server);
                if (cases[i].right)
                        assert_fetched(&session, 2);
                else
                        assert_fails(&session, 2, EACCES, "the user was alice");
                if (cases[i].with_token)
                        assert_int_equal(passwords.given, 1);
                assert_null(strstr(session.log.text, cases[i].password));
                assert_non_null(strstr(session.log.text, credentials));
                session_release(&session);
        }
}

static int make_credentials(void **state)
{
        int fd = mkstemp(credentials);

        (void)state;
        return fd < 0 ? -1 : close(fd);
}

static int remove_credentials(void **state)
{
        (void)state;
        return unlink(credentials);
}

static void handle_bad_realm(void *context, const struct server_request *request,
                             struct server_reply *reply)
{
        (void)request;
        reply->status = 401;
        add_header(reply, "WWW-Authenticate: Bearer %s", (const char *)context);
}

static void test_bad_realm(void **state)
{
        static const char *const realms[] = {
                "realm=\"file:///etc/passwd\"",
                "realm=\"http://a b/\"",
                "service=x",
                "realm=\"http://\"",
        };

        (void)state;
        for (size_t i = 0; i < ARRAY_SIZE(realms); i++) {
                struct session session;

                session_init(&session, handle_bad_realm, (void *)realms[i]);
                assert_fails(&session, 1, EPROTO, "no valid token server");
                session_release(&session);
        }
}

/* ---- an end from outside ---- */

static void handle_stall(void *context, const struct server_request *request,
                         struct server_reply *reply)
{
        (void)context;
        serve_content(reply, request);
        reply->stall_ms = 60000;
}

static int64_t stop_at;

static int stopping_data(struct registry_blob *sink, const void *data, size_t size,
                         struct error *err)
{
        struct session *session = sink->context;

        (void)data;
        (void)size;
        (void)err;
        if (!stop_at) {
                stop_at = clock_ms();
                registry_stop(session->registry);
        }
        return 0;
}

static int ignoring_begin(struct registry_blob *sink, uint64_t *ret_offset, struct error *err)
{
        (void)sink;
        (void)err;
        *ret_offset = 0;
        return 0;
}

static int ignoring_end(struct registry_blob *sink, const struct error *failure, struct error *err)
{
        (void)sink;
        (void)failure;
        (void)err;
        return 0;
}

static void test_stop(void **state)
{
        struct session session;
        struct error err;

        (void)state;
        session_init(&session, handle_stall, NULL);
        session.sinks[0].context = &session;
        session.sinks[0].begin = ignoring_begin;
        session.sinks[0].data = stopping_data;
        session.sinks[0].end = ignoring_end;
        assert_int_equal(fetch(&session, 1, &err), -1);
        assert_int_equal(err.code, EINTR);
        assert_true(clock_ms() - stop_at < 30000);
        session_release(&session);
}

/* ---- http.h alone ---- */

static int discard_body(struct http_request *request, const void *data, size_t size,
                        struct error *err)
{
        (void)request;
        (void)data;
        (void)size;
        (void)err;
        return 0;
}

static void get(struct http_client *client, struct http_server *server,
                struct http_request *request)
{
        static const struct http_trust plain = { .allow_http = true };
        struct error err = ERROR_INIT;
        char url[64];

        (void)snprintf(url, sizeof(url), "http://127.0.0.1:%u/x", http_server_port(server));
        request->url = url;
        request->trust = &plain;
        request->body = discard_body;
        assert_int_equal(http_start(client, request, &err), 0);
        while (!request->finished)
                assert_int_equal(http_run(client, 100, &err), 0);
}

/* Nothing comes behind the headers: libcurl reckons with the mean of some seconds otherwise. */
static void handle_hang(void *context, const struct server_request *request,
                        struct server_reply *reply)
{
        (void)context;
        (void)request;
        reply->body = content;
        reply->size = 1;
        reply->stall_ms = 60000;
}

static void test_http_stall(void **state)
{
        struct http_options options = { .stall_timeout = 1, .max_connections = 1 };
        struct http_server *server = http_server_start(handle_hang, NULL);
        struct error err = ERROR_INIT;
        auto_http_client struct http_client *client = http_client_new(&options, &err);
        struct http_request request = { .accept = "x/y" };

        (void)state;
        assert_non_null(client);
        get(client, server, &request);
        assert_int_equal(request.status, 200);
        assert_int_equal(request.failure.code, ETIMEDOUT);
        assert_int_equal(request.retry, RETRY_ALWAYS);
        http_reset(client, &request);
        http_server_stop(server);
}

static void test_http_headers(void **state)
{
        struct http_options options = { .stall_timeout = 5, .max_connections = 1 };
        struct http_server *server = http_server_start(handle_headers, NULL);
        struct error err = ERROR_INIT;
        auto_http_client struct http_client *client = http_client_new(&options, &err);
        struct http_request request = { .status = 0 };

        (void)state;
        assert_non_null(client);
        get(client, server, &request);
        assert_int_equal(request.failure.code, 0);
        assert_string_equal(http_header(&request, "x-7", 0), "0000000007");
        assert_null(http_header(&request, "x-7", 1));
        assert_null(http_header(&request, "x", 0));
        http_reset(client, &request);
        http_server_stop(server);
}

/* The variables count that the options hold, and not those of the process. */
static void test_http_proxy(void **state)
{
        struct http_server *server = http_server_start(handle_headers, NULL);
        char proxy[64], refuse[] = "no_proxy=127.0.0.1";
        char *variables[] = { proxy, refuse, NULL };
        struct strlist environment = { .items = variables, .count = 1 };
        struct http_options options = { .stall_timeout = 5,
                                        .max_connections = 1,
                                        .environment = &environment };
        struct error err = ERROR_INIT;
        auto_http_client struct http_client *client = http_client_new(&options, &err);
        struct http_request request = { .status = 0 };

        (void)state;
        assert_non_null(client);
        (void)setenv("http_proxy", "http://127.0.0.1:1", 1);
        (void)snprintf(proxy, sizeof(proxy), "http_proxy=http://127.0.0.1:2");
        get(client, server, &request);
        assert_int_equal(request.failure.code, ECONNREFUSED);
        environment.count = 2;
        get(client, server, &request);
        assert_int_equal(request.status, 200);
        (void)unsetenv("http_proxy");
        http_reset(client, &request);
        http_server_stop(server);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_plain),
                cmocka_unit_test(test_put_off),
                cmocka_unit_test(test_flaws),
                cmocka_unit_test(test_wrong_range),
                cmocka_unit_test(test_status),
                cmocka_unit_test(test_too_much),
                cmocka_unit_test(test_unreachable),
                cmocka_unit_test(test_trickle),
                cmocka_unit_test(test_redirect),
                cmocka_unit_test(test_bad_redirects),
                cmocka_unit_test(test_token),
                cmocka_unit_test(test_token_expires_in_the_middle),
                cmocka_unit_test(test_token_of_no_use),
                cmocka_unit_test_setup_teardown(test_passwords, make_credentials,
                                                remove_credentials),
                cmocka_unit_test(test_bad_realm),
                cmocka_unit_test(test_stop),
                cmocka_unit_test(test_http_stall),
                cmocka_unit_test(test_http_headers),
                cmocka_unit_test(test_http_proxy),
        };

        (void)signal(SIGPIPE, SIG_IGN);
        for (size_t i = 0; i < sizeof(content); i++)
                content[i] = (unsigned char)(i * 2654435761u >> 13);
        return cmocka_run_group_tests(tests, NULL, NULL);
}
