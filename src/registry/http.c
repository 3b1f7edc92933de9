#include "registry/http.h"

#include <curl/curl.h>
#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "registry/url.h"
#include "util/cleanup.h"
#include "util/dynlib.h"
#include "util/strbuf.h"

#define USER_AGENT "enroot/" ENROOT_VERSION

/* libcurl's receive buffer, in bytes: fewer system calls than with its 16 KiB. */
#define RECEIVE_BUFFER (512L << 10)

/*
 * HTTP/2 could carry all blobs on one connection, and would then be bound by what
 * one TCP flow gets: content networks give a client several times as much over
 * several flows. So a connection carries one blob at a time.
 */
#define STREAMS_PER_CONNECTION 1L

static struct {
        __typeof__(curl_global_init) *global_init;
        __typeof__(curl_easy_init) *easy_init;
        __typeof__(curl_easy_cleanup) *easy_cleanup;
        __typeof__(curl_easy_setopt) *easy_setopt;
        __typeof__(curl_easy_getinfo) *easy_getinfo;
        __typeof__(curl_easy_strerror) *easy_strerror;
        __typeof__(curl_slist_append) *slist_append;
        __typeof__(curl_slist_free_all) *slist_free_all;
        __typeof__(curl_multi_init) *multi_init;
        __typeof__(curl_multi_cleanup) *multi_cleanup;
        __typeof__(curl_multi_setopt) *multi_setopt;
        __typeof__(curl_multi_add_handle) *multi_add_handle;
        __typeof__(curl_multi_remove_handle) *multi_remove_handle;
        __typeof__(curl_multi_perform) *multi_perform;
        __typeof__(curl_multi_poll) *multi_poll;
        __typeof__(curl_multi_wakeup) *multi_wakeup;
        __typeof__(curl_multi_info_read) *multi_info_read;
        __typeof__(curl_multi_strerror) *multi_strerror;

        struct error failure;
} curl;

struct http_client {
        const struct http_options *options;
        CURLM *multi;
};

struct http_exchange {
        CURL *easy;
        struct curl_slist *headers;
        char text[CURL_ERROR_SIZE]; /* what libcurl says about a failure */
        size_t header_bytes;
        struct http_request *request;
};

static void load_curl(void)
{
        const struct dynlib_symbol symbols[] = {
                { "curl_global_init", (void **)&curl.global_init },
                { "curl_easy_init", (void **)&curl.easy_init },
                { "curl_easy_cleanup", (void **)&curl.easy_cleanup },
                { "curl_easy_setopt", (void **)&curl.easy_setopt },
                { "curl_easy_getinfo", (void **)&curl.easy_getinfo },
                { "curl_easy_strerror", (void **)&curl.easy_strerror },
                { "curl_slist_append", (void **)&curl.slist_append },
                { "curl_slist_free_all", (void **)&curl.slist_free_all },
                { "curl_multi_init", (void **)&curl.multi_init },
                { "curl_multi_cleanup", (void **)&curl.multi_cleanup },
                { "curl_multi_setopt", (void **)&curl.multi_setopt },
                { "curl_multi_add_handle", (void **)&curl.multi_add_handle },
                { "curl_multi_remove_handle", (void **)&curl.multi_remove_handle },
                { "curl_multi_perform", (void **)&curl.multi_perform },
                { "curl_multi_poll", (void **)&curl.multi_poll },
                { "curl_multi_wakeup", (void **)&curl.multi_wakeup },
                { "curl_multi_info_read", (void **)&curl.multi_info_read },
                { "curl_multi_strerror", (void **)&curl.multi_strerror },
        };

        const size_t count = ARRAY_SIZE(symbols);

        if (dynlib_load("libcurl.so.4", "libcurl4", symbols, count, &curl.failure) < 0)
                return;
        if (curl.global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
                error_set(&curl.failure, ENOSYS, "libcurl cannot be initialised");
}

struct http_client *http_client_new(const struct http_options *options, struct error *err)
{
        static pthread_once_t once = PTHREAD_ONCE_INIT;
        auto_http_client struct http_client *client = NULL;

        (void)pthread_once(&once, load_curl);
        if (curl.failure.code) {
                *err = curl.failure;
                return NULL;
        }
        client = calloc(1, sizeof(*client));
        if (client)
                client->multi = curl.multi_init();
        if (!client || !client->multi) {
                error_no_memory(err);
                return NULL;
        }
        client->options = options;
        (void)curl.multi_setopt(client->multi, CURLMOPT_MAX_HOST_CONNECTIONS,
                                (long)options->max_connections);
        (void)curl.multi_setopt(client->multi, CURLMOPT_MAX_CONCURRENT_STREAMS,
                                STREAMS_PER_CONNECTION);
        return TAKE_PTR(client);
}

void http_client_free(struct http_client *client)
{
        if (client->multi)
                (void)curl.multi_cleanup(client->multi);
        free(client);
}

/* ---- setting a request up ---- */

static const char *environment_get(const struct strlist *environment, const char *name)
{
        size_t length = strlen(name);

        for (size_t i = 0; environment && i < environment->count; i++) {
                const char *item = environment->items[i];

                if (strncmp(item, name, length) == 0 && item[length] == '=' && item[length + 1])
                        return item + length + 1;
        }
        return NULL;
}

/* The first of the variables that is set to something; the list ends with NULL. */
static const char *environment_first(const struct strlist *environment, const char *const *names)
{
        const char *value = NULL;

        for (; !value && *names; names++)
                value = environment_get(environment, *names);
        return value;
}

static CURLcode set_text(CURL *easy, CURLoption option, const char *text)
{
        return curl.easy_setopt(easy, option, text);
}

static CURLcode set_number(CURL *easy, CURLoption option, long number)
{
        return curl.easy_setopt(easy, option, number);
}

/* An empty text keeps libcurl from looking into the environment of the process itself. */
static CURLcode set_proxy(CURL *easy, const struct strlist *environment, bool is_https)
{
        static const char *const for_https[] = { "https_proxy", "HTTPS_PROXY", "all_proxy",
                                                 "ALL_PROXY", NULL };
        static const char *const for_http[] = { "http_proxy", "HTTP_PROXY", "all_proxy",
                                                "ALL_PROXY", NULL };
        static const char *const exceptions[] = { "no_proxy", "NO_PROXY", NULL };
        const char *proxy = environment_first(environment, is_https ? for_https : for_http);
        const char *except = environment_first(environment, exceptions);
        CURLcode code = set_text(easy, CURLOPT_PROXY, proxy ? proxy : "");

        return code ? code : set_text(easy, CURLOPT_NOPROXY, except ? except : "");
}

static CURLcode set_certificates(CURL *easy, const struct http_trust *trust,
                                 const struct strlist *environment)
{
        static const char *const files[] = { "SSL_CERT_FILE", "CURL_CA_BUNDLE", NULL };
        const char *file = trust->ca_file ? trust->ca_file : environment_first(environment, files);
        const char *directory = environment_get(environment, "SSL_CERT_DIR");
        CURLcode code = CURLE_OK;

        if (file)
                code = set_text(easy, CURLOPT_CAINFO, file);
        if (code == CURLE_OK && directory)
                code = set_text(easy, CURLOPT_CAPATH, directory);
        if (code == CURLE_OK && trust->certificate)
                code = set_text(easy, CURLOPT_SSLCERT, trust->certificate);
        if (code == CURLE_OK && trust->key)
                code = set_text(easy, CURLOPT_SSLKEY, trust->key);
        if (code == CURLE_OK && trust->any_certificate) {
                code = set_number(easy, CURLOPT_SSL_VERIFYHOST, 0);
                if (code == CURLE_OK)
                        code = set_number(easy, CURLOPT_SSL_VERIFYPEER, 0);
        }
        return code;
}

static CURLcode set_protocols(CURL *easy, bool allow_http)
{
#if LIBCURL_VERSION_NUM >= 0x075500
        return set_text(easy, CURLOPT_PROTOCOLS_STR, allow_http ? "http,https" : "https");
#else
        return set_number(easy, CURLOPT_PROTOCOLS,
                          CURLPROTO_HTTPS | (allow_http ? CURLPROTO_HTTP : 0));
#endif
}

static int add_header(struct http_exchange *exchange, const char *name, const char *value,
                      struct error *err)
{
        auto_strbuf struct strbuf line = STRBUF_INIT;
        struct curl_slist *headers;

        if (!value)
                return 0;
        if (strbuf_printf(&line, "%s: %s", name, value) < 0)
                return error_no_memory(err);
        headers = curl.slist_append(exchange->headers, line.data);
        if (!headers)
                return error_no_memory(err);
        exchange->headers = headers;
        return 0;
}

static size_t on_header(char *data, size_t unit, size_t count, void *context)
{
        struct http_exchange *exchange = context;
        struct http_request *request = exchange->request;
        size_t size = unit * count, length = size;

        /* A status line starts over: what came before belongs to an interim response. */
        if (size >= 5 && memcmp(data, "HTTP/", 5) == 0) {
                strlist_release(&request->headers);
                exchange->header_bytes = 0;
                return size;
        }
        exchange->header_bytes += size;
        if (exchange->header_bytes > HTTP_HEADER_LIMIT) {
                error_set(&request->failure, EMSGSIZE, "response headers of more than %u bytes",
                          HTTP_HEADER_LIMIT);
                return 0;
        }
        while (length > 0 && strchr("\r\n", data[length - 1]))
                length--;
        if (length > 0 && strlist_append_mem(&request->headers, data, length) < 0) {
                error_no_memory(&request->failure);
                return 0;
        }
        return size;
}

static size_t on_body(char *data, size_t unit, size_t count, void *context)
{
        struct http_exchange *exchange = context;
        struct http_request *request = exchange->request;
        size_t size = unit * count;

        if (request->status == 0)
                (void)curl.easy_getinfo(exchange->easy, CURLINFO_RESPONSE_CODE, &request->status);
        return request->body(request, data, size, &request->failure) < 0 ? 0 : size;
}

static CURLcode set_range(CURL *easy, const struct http_request *request)
{
        char range[48];
        int length = snprintf(range, sizeof(range), "%" PRIu64 "-", request->offset);

        if (request->offset == 0 && request->end == 0)
                return CURLE_OK;
        if (request->end > 0)
                (void)snprintf(range + length, sizeof(range) - (size_t)length, "%" PRIu64,
                               request->end - 1);
        return set_text(easy, CURLOPT_RANGE, range);
}

static CURLcode set_options(const struct http_options *options, struct http_exchange *exchange)
{
        struct http_request *request = exchange->request;
        CURL *easy = exchange->easy;
        CURLcode code = CURLE_OK;

#define SET(call) (code = code == CURLE_OK ? (call) : code)

        SET(set_text(easy, CURLOPT_URL, request->url));
        SET(set_protocols(easy, request->trust->allow_http));
        SET(set_number(easy, CURLOPT_HTTP_VERSION, CURL_HTTP_VERSION_2TLS));
        SET(set_text(easy, CURLOPT_USERAGENT, USER_AGENT));
        SET(curl.easy_setopt(easy, CURLOPT_HTTPHEADER, exchange->headers));
        /* What authorises at a registry is not for the proxy on the way to it. */
        SET(set_number(easy, CURLOPT_HEADEROPT, CURLHEADER_SEPARATE));
        SET(set_number(easy, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1));
        if (options->unix_socket)
                SET(set_text(easy, CURLOPT_UNIX_SOCKET_PATH, options->unix_socket));
        SET(set_proxy(easy, options->unix_socket ? NULL : options->environment,
                      url_is_https(request->url)));
        SET(set_certificates(easy, request->trust, options->environment));

        SET(set_number(easy, CURLOPT_NOSIGNAL, 1));
        SET(set_number(easy, CURLOPT_TCP_KEEPALIVE, 1));
        SET(set_number(easy, CURLOPT_BUFFERSIZE, RECEIVE_BUFFER));
        SET(set_number(easy, CURLOPT_CONNECTTIMEOUT, options->connect_timeout));
        SET(set_number(easy, CURLOPT_TIMEOUT, options->transfer_timeout));
        SET(set_number(easy, CURLOPT_LOW_SPEED_LIMIT, 1));
        SET(set_number(easy, CURLOPT_LOW_SPEED_TIME, options->stall_timeout));

        SET(curl.easy_setopt(easy, CURLOPT_PRIVATE, exchange));
        SET(curl.easy_setopt(easy, CURLOPT_ERRORBUFFER, exchange->text));
        SET(curl.easy_setopt(easy, CURLOPT_HEADERFUNCTION, on_header));
        SET(curl.easy_setopt(easy, CURLOPT_HEADERDATA, exchange));
        SET(curl.easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_body));
        SET(curl.easy_setopt(easy, CURLOPT_WRITEDATA, exchange));
        SET(set_range(easy, request));
        if (request->form)
                SET(set_text(easy, CURLOPT_COPYPOSTFIELDS, request->form));
#undef SET
        return code;
}

static void exchange_free(struct http_exchange *exchange)
{
        if (exchange->easy)
                curl.easy_cleanup(exchange->easy);
        curl.slist_free_all(exchange->headers);
        free(exchange);
}

static void cleanup_exchange(struct http_exchange **exchange)
{
        if (*exchange)
                exchange_free(*exchange);
}

int http_start(struct http_client *client, struct http_request *request, struct error *err)
{
        auto_cleanup(cleanup_exchange) struct http_exchange *exchange = NULL;
        CURLcode code;

        http_reset(client, request);
        exchange = calloc(1, sizeof(*exchange));
        if (!exchange)
                return error_no_memory(err);
        exchange->request = request;
        exchange->easy = curl.easy_init();
        if (!exchange->easy)
                return error_no_memory(err);
        if (add_header(exchange, "Accept", request->accept, err) < 0 ||
            add_header(exchange, "Authorization", request->authorization, err) < 0)
                return -1;
        code = set_options(client->options, exchange);
        if (code != CURLE_OK)
                return error_set(err, EINVAL, "libcurl: %s", curl.easy_strerror(code));
        if (curl.multi_add_handle(client->multi, exchange->easy) != CURLM_OK)
                return error_no_memory(err);
        request->exchange = TAKE_PTR(exchange);
        return 0;
}

/* ---- letting requests run ---- */

static void explain_tls(struct error *err, CURLcode code, bool is_https)
{
        if (code == CURLE_PEER_FAILED_VERIFICATION || code == CURLE_SSL_CACERT_BADFILE)
                error_append(err, "; a certificate authority of your own is named in "
                                  "SSL_CERT_FILE or SSL_CERT_DIR");
        else if (code == CURLE_SSL_CONNECT_ERROR)
                error_append(err, "; if it speaks plain HTTP, set ENROOT_ALLOW_HTTP=yes");
        else if (!is_https && (code == CURLE_UNSUPPORTED_PROTOCOL || code == CURLE_GOT_NOTHING ||
                               code == CURLE_COULDNT_CONNECT))
                error_append(err, "; plain HTTP was tried because of ENROOT_ALLOW_HTTP: unset it "
                                  "if the server speaks HTTPS");
}

/* Whether a response broke off, and not because the time for the whole request was up. */
static bool is_stalled(const struct http_options *options, struct http_exchange *exchange)
{
        double seconds = 0;

        (void)curl.easy_getinfo(exchange->easy, CURLINFO_TOTAL_TIME, &seconds);
        return exchange->request->status > 0 &&
               (options->transfer_timeout == 0 || seconds < (double)options->transfer_timeout);
}

/* Say what libcurl's code means for the user, and for a repetition. */
static void explain(const struct http_options *options, struct http_exchange *exchange,
                    CURLcode code)
{
        static const struct {
                CURLcode curl_code;
                int code;
                enum retry_class retry;
        } known[] = {
                { CURLE_COULDNT_CONNECT, ECONNREFUSED, RETRY_CONFIGURED },
                { CURLE_COULDNT_RESOLVE_HOST, EHOSTUNREACH, RETRY_CONFIGURED },
                { CURLE_COULDNT_RESOLVE_PROXY, EHOSTUNREACH, RETRY_CONFIGURED },
                { CURLE_OPERATION_TIMEDOUT, ETIMEDOUT, RETRY_CONFIGURED },
                { CURLE_PEER_FAILED_VERIFICATION, EPROTO, RETRY_NEVER },
                { CURLE_SSL_CACERT_BADFILE, EPROTO, RETRY_NEVER },
                { CURLE_SSL_CONNECT_ERROR, EPROTO, RETRY_CONFIGURED },
                { CURLE_UNSUPPORTED_PROTOCOL, EPROTO, RETRY_NEVER },
                { CURLE_URL_MALFORMAT, EINVAL, RETRY_NEVER },
                { CURLE_OUT_OF_MEMORY, ENOMEM, RETRY_NEVER },
                { CURLE_GOT_NOTHING, ECONNRESET, RETRY_ALWAYS },
                { CURLE_RECV_ERROR, ECONNRESET, RETRY_ALWAYS },
                { CURLE_SEND_ERROR, ECONNRESET, RETRY_ALWAYS },
                { CURLE_PARTIAL_FILE, ECONNRESET, RETRY_ALWAYS },
                { CURLE_HTTP2, ECONNRESET, RETRY_ALWAYS },
                { CURLE_HTTP2_STREAM, ECONNRESET, RETRY_ALWAYS },
        };
        struct http_request *request = exchange->request;
        const char *url = NULL;
        int number = EIO;

        request->retry = RETRY_NEVER;
        for (size_t i = 0; i < ARRAY_SIZE(known); i++) {
                if (known[i].curl_code == code) {
                        number = known[i].code;
                        request->retry = known[i].retry;
                }
        }
        if (code == CURLE_OPERATION_TIMEDOUT && is_stalled(options, exchange))
                request->retry = RETRY_ALWAYS;
        (void)curl.easy_getinfo(exchange->easy, CURLINFO_EFFECTIVE_URL, &url);
        error_set(&request->failure, number, "%s",
                  exchange->text[0] ? exchange->text : curl.easy_strerror(code));
        explain_tls(&request->failure, code, url && url_is_https(url));
}

static void exchange_finish(struct http_client *client, struct http_exchange *exchange,
                            CURLcode code)
{
        struct http_request *request = exchange->request;
        const char *redirect = NULL;

        (void)curl.easy_getinfo(exchange->easy, CURLINFO_RESPONSE_CODE, &request->status);
        (void)curl.easy_getinfo(exchange->easy, CURLINFO_REDIRECT_URL, &redirect);
        if (redirect) {
                request->redirect_url = strdup(redirect);
                if (!request->redirect_url)
                        error_no_memory(&request->failure);
        }
        /* A callback that refused has said why, and knows better. */
        if (code != CURLE_OK && request->failure.code == 0)
                explain(client->options, exchange, code);
        (void)curl.multi_remove_handle(client->multi, exchange->easy);
        exchange_free(exchange);
        request->exchange = NULL;
        request->finished = true;
}

/* Returns whether a request has finished. */
static bool collect(struct http_client *client)
{
        bool any = false;
        CURLMsg *message;
        int left;

        while ((message = curl.multi_info_read(client->multi, &left))) {
                struct http_exchange *exchange = NULL;
                CURLcode code = message->data.result;

                if (message->msg != CURLMSG_DONE)
                        continue;
                (void)curl.easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &exchange);
                exchange_finish(client, exchange, code);
                any = true;
        }
        return any;
}

int http_run(struct http_client *client, int timeout_ms, struct error *err)
{
        int running;
        CURLMcode code = curl.multi_perform(client->multi, &running);

        if (code == CURLM_OK && !collect(client))
                code = curl.multi_poll(client->multi, NULL, 0, timeout_ms, NULL);
        return code == CURLM_OK ? 0 : error_set(err, EIO, "libcurl: %s", curl.multi_strerror(code));
}

void http_wake(struct http_client *client)
{
        (void)curl.multi_wakeup(client->multi);
}

void http_reset(struct http_client *client, struct http_request *request)
{
        if (request->exchange) {
                (void)curl.multi_remove_handle(client->multi, request->exchange->easy);
                exchange_free(request->exchange);
                request->exchange = NULL;
        }
        strlist_release(&request->headers);
        free(TAKE_PTR(request->redirect_url));
        request->status = 0;
        request->finished = false;
        request->retry = RETRY_NEVER;
        request->failure = (struct error)ERROR_INIT;
}

const char *http_header(const struct http_request *request, const char *name, size_t index)
{
        size_t length = strlen(name);

        for (size_t i = 0; i < request->headers.count; i++) {
                const char *line = request->headers.items[i];

                if (strncasecmp(line, name, length) != 0 || line[length] != ':' || index-- > 0)
                        continue;
                return line + length + 1 + strspn(line + length + 1, " \t");
        }
        return NULL;
}
