#include "registry/transfer.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <sys/random.h>

#include "registry/refusal.h"
#include "registry/url.h"
#include "util/clock.h"

/* Where the transfer starts. malloc'd, or NULL without memory. */
static char *start_url(const struct transfer *transfer)
{
        auto_strbuf struct strbuf url = STRBUF_INIT;

        if (!transfer->url)
                strbuf_append(&url, transfer->endpoint->base);
        strbuf_append(&url, transfer->url ? transfer->url : transfer->path);
        return strbuf_take(&url);
}

static void wait_until(struct transfer *transfer, int64_t due)
{
        transfer->state = TRANSFER_WAITING;
        transfer->due = due;
}

/* ---- the body ---- */

/* "bytes FIRST-LAST/TOTAL" (RFC 9110 section 14.4); total UINT64_MAX when it is "*". */
static int parse_content_range(const char *value, uint64_t *ret_first, uint64_t *ret_total)
{
        char *end;

        if (!value || strncasecmp(value, "bytes ", 6) != 0 || !isdigit((unsigned char)value[6]))
                return -1;
        *ret_first = strtoull(value + 6, &end, 10);
        value = strchr(end, '/');
        if (*end != '-' || !value)
                return -1;
        *ret_total = isdigit((unsigned char)value[1]) ? strtoull(value + 1, NULL, 10) : UINT64_MAX;
        return 0;
}

/* Whether the file behind the address is the one of the first range: its ETag is the same. */
static bool is_same_entity(const struct transfer *transfer)
{
        const char *etag = http_header(&transfer->request, "ETag", 0);

        return !transfer->etag || !etag || strcmp(transfer->etag, etag) == 0;
}

/*
 * The first byte of the file that this response brings. A server may answer a
 * request for a range with all of the file (200), or from an earlier byte on.
 */
static int response_start(struct transfer *transfer, uint64_t *ret, struct error *err)
{
        const struct http_request *request = &transfer->request;
        uint64_t total = UINT64_MAX;

        *ret = 0;
        transfer->ranged = false;
        if (request->status != 206)
                return transfer->is_part ? error_set(err, EPROTO, "the server ignores ranges") : 0;
        if (parse_content_range(http_header(request, "Content-Range", 0), ret, &total) < 0 ||
            *ret > request->offset || (transfer->is_part && !is_same_entity(transfer)))
                return error_set(err, EPROTO,
                                 "the server sent another part of the file than was asked");
        transfer->ranged = *ret == request->offset &&
                           (total == transfer->size || total == UINT64_MAX || transfer->is_part) &&
                           is_same_entity(transfer);
        return 0;
}

/* What later ranges are compared with. */
static int remember_entity(struct transfer *transfer, struct error *err)
{
        const char *etag = http_header(&transfer->request, "ETag", 0);

        if (!transfer->ranged || transfer->etag || !etag)
                return 0;
        transfer->etag = strdup(etag);
        return transfer->etag ? 0 : error_no_memory(err);
}

static int on_body(struct http_request *request, const void *data, size_t size, struct error *err)
{
        struct transfer *transfer = request->context;
        uint64_t skipped, start;

        if (request->status < 200 || request->status > 299) {
                if (size > TRANSFER_PROBLEM_LIMIT - transfer->problem.length)
                        return error_set(err, EMSGSIZE, "an error response of more than %u bytes",
                                         TRANSFER_PROBLEM_LIMIT);
                if (strbuf_append_mem(&transfer->problem, data, size) < 0)
                        return error_no_memory(err);
                return 0;
        }
        if (!transfer->body_begun) {
                if (response_start(transfer, &start, err) < 0 || remember_entity(transfer, err) < 0)
                        return -1;
                transfer->skip = transfer->have - start;
                transfer->body_begun = true;
        }
        skipped = size < transfer->skip ? size : transfer->skip;
        transfer->skip -= skipped;
        size -= skipped;
        if (size == 0)
                return 0;
        if (transfer->ranged && request->end > 0 && size > request->end - transfer->have)
                return error_set(err, EPROTO, "the server sent more of the file than was asked");
        if (transfer->sink->data(transfer->sink, (const char *)data + skipped, size, err) < 0) {
                transfer->sink_failed = true;
                return -1;
        }
        transfer->have += size;
        return 0;
}

/* ---- one request ---- */

static int finish(struct transfer *transfer, struct error *err)
{
        transfer->state = TRANSFER_ENDED;
        if (transfer->sink->end(transfer->sink, NULL, err) == 0)
                return 0;
        transfer->sink_failed = true;
        return -1;
}

/* How far the next request reaches; 0 stands for the end of the file. */
static uint64_t request_end(const struct transfer *transfer)
{
        uint64_t end = transfer->is_part ? transfer->size : transfer->have + transfer->chunk;

        if (transfer->is_part)
                return end;
        return transfer->chunk == 0 || transfer->whole || end >= transfer->size ? 0 : end;
}

/* Send the next request of a transfer, which goes to the start or where a redirect led. */
static int send_request(struct registry *registry, struct transfer *transfer, struct error *err)
{
        auto_free char *start = start_url(transfer);
        struct http_request *request = &transfer->request;
        const char *url = transfer->current ? transfer->current : start;

        if (!start)
                return error_no_memory(err);
        request->url = url;
        request->trust = endpoint_trust(registry, transfer->endpoint, url, err);
        if (!request->trust)
                return -1;
        request->accept = transfer->accept;
        request->form = transfer->form;
        request->authorization = NULL;
        if (url_same_origin(start, url)) {
                request->authorization = transfer->authorization;
                if (!transfer->url) {
                        struct auth *auth = &transfer->endpoint->auth;

                        if (auth_refresh(registry, transfer->endpoint, err) < 0)
                                return -1;
                        request->authorization = auth->header;
                        transfer->auth_generation = auth->generation;
                }
        }
        request->offset = transfer->whole ? 0 : transfer->have;
        request->end = request_end(transfer);
        request->body = on_body;
        request->context = transfer;
        transfer->body_begun = false;
        strbuf_reset(&transfer->problem);
        transfer->state = TRANSFER_ACTIVE;
        return http_start(registry->http, request, err);
}

static int begin(struct registry *registry, struct transfer *transfer, struct error *err)
{
        int rc = transfer->sink->begin(transfer->sink, &transfer->have, err);

        switch (rc) {
        case 0:
                break;
        case 1:
                wait_until(transfer, clock_ms() + TRANSFER_PUT_OFF_MS);
                return 0;
        case 2:
                transfer->state = TRANSFER_ENDED;
                return 0;
        default:
                transfer->sink_failed = true;
                return -1;
        }
        /* Broken off behind the last byte, or an empty file: there is nothing to ask for. */
        if (transfer->have >= transfer->size)
                return finish(transfer, err);
        transfer->had = transfer->have;
        return send_request(registry, transfer, err);
}

/* ---- what came of it ---- */

/*
 * Try again what failed with *err, or give up. pause is how many seconds the
 * server asked to be left alone, -1 if it did not.
 */
static int try_again(struct registry *registry, struct transfer *transfer, enum retry_class class,
                     int64_t pause, struct error *err)
{
        uint32_t random = 0;
        int64_t delay;

        if (class == RETRY_ALWAYS && transfer->have - transfer->had >= TRANSFER_PROGRESS)
                transfer->tries = 0;
        /* A service of this machine answers as well as it ever will, and not always alike. */
        if (registry->options->unix_socket)
                return -1;
        if (transfer->tries >= retry_allowed(class, registry->options->retries)) {
                if (transfer->tries > 0)
                        error_append(err, " (after %u tries)", transfer->tries + 1);
                return -1;
        }
        if (pause > RETRY_AFTER_LIMIT)
                return error_append(err, "; the server asks to wait %" PRId64 " seconds", pause);

        if (getrandom(&random, sizeof(random), GRND_NONBLOCK) != sizeof(random))
                random = (uint32_t)clock_ms();
        delay = retry_delay(transfer->tries++, random);
        if (pause * 1000 > delay)
                delay = pause * 1000;
        report_warn(registry->report, "%s: %s; trying again in %" PRId64 ".%" PRId64 " s",
                    transfer->endpoint->host, err->message, delay / 1000, delay % 1000 / 100);

        /* From the start: a signed address of a content network may have expired. */
        free(TAKE_PTR(transfer->current));
        transfer->redirects = 0;
        wait_until(transfer, clock_ms() + delay);
        return 0;
}

static int on_unauthorized(struct registry *registry, struct transfer *transfer, struct error *err)
{
        /* The header may have been renewed for another transfer while this one was under way. */
        bool outdated = transfer->auth_generation != transfer->endpoint->auth.generation;

        if (++transfer->challenges > TRANSFER_CHALLENGE_LIMIT || (transfer->answered && !outdated))
                return refusal_explain(registry, transfer, err);
        if (!outdated) {
                if (auth_answer(registry, transfer->endpoint, &transfer->request, err) < 0)
                        return -1;
                transfer->answered = true;
        }
        wait_until(transfer, 0);
        return 0;
}

/*
 * A registry that answers ENROOT_ALLOW_HTTP's plain request by pointing to its
 * HTTPS self is taken at its word for the whole session. Nothing secret was sent
 * before, and from now on HTTPS is the origin, where transfers start.
 */
static int use_https(struct endpoint *endpoint, struct error *err)
{
        auto_strbuf struct strbuf base = STRBUF_INIT;

        if (strbuf_printf(&base, "https%s", endpoint->base + strlen("http")) < 0)
                return error_no_memory(err);
        free(endpoint->base);
        endpoint->base = strbuf_take(&base);
        return 0;
}

static int check_target(struct registry *registry, const struct transfer *transfer,
                        const char *target, struct error *err)
{
        auto_strbuf struct strbuf host = STRBUF_INIT;
        const struct http_trust *trust;

        if (!url_valid(target))
                return error_set(err, EPROTO, "redirected to an address that is not one of HTTP");
        if (url_host(target, &host) < 0)
                return error_no_memory(err);
        if (transfer->form)
                return error_set(err, EPROTO, "redirected to %.200s, which does not get the token",
                                 host.data);
        trust = endpoint_trust(registry, transfer->endpoint, target, err);
        if (!trust)
                return -1;
        if (!url_is_https(target) && !trust->allow_http)
                return error_set(err, EPROTO,
                                 "redirected to %.200s without HTTPS; ENROOT_ALLOW_HTTP=yes, or "
                                 "insecure = true for it in registries.conf, allows it",
                                 host.data);
        return 0;
}

static int on_redirect(struct registry *registry, struct transfer *transfer, struct error *err)
{
        auto_free char *target = TAKE_PTR(transfer->request.redirect_url);
        auto_free char *start = start_url(transfer);

        if (!start || !target)
                return error_no_memory(err);
        if (check_target(registry, transfer, target, err) < 0)
                return -1;
        if (++transfer->redirects > TRANSFER_REDIRECT_LIMIT)
                return error_set(err, ELOOP, "more than %u redirects", TRANSFER_REDIRECT_LIMIT);

        free(TAKE_PTR(transfer->current));
        wait_until(transfer, 0);
        if (!transfer->url && !transfer->endpoint->auth.header && url_is_upgrade(start, target))
                return use_https(transfer->endpoint, err);
        transfer->current = TAKE_PTR(target);
        return 0;
}

static int on_refusal(struct registry *registry, struct transfer *transfer, struct error *err)
{
        const char *after = http_header(&transfer->request, "Retry-After", 0);
        long status = transfer->request.status;
        enum retry_class class = retry_class_of_status(status);
        int64_t pause = -1;

        /* Storage behind a redirect refuses signed addresses that are too old. */
        if (transfer->current && (status == 401 || status == 403))
                class = RETRY_ALWAYS;
        refusal_explain(registry, transfer, err);
        if (after && (status == 429 || status == 503))
                pause = retry_after(after, time(NULL));
        return try_again(registry, transfer, class, pause, err);
}

static bool is_redirect(const struct http_request *request)
{
        switch (request->status) {
        case 301:
        case 302:
        case 303:
        case 307:
        case 308:
                return request->redirect_url != NULL;
        default:
                return false;
        }
}

static int on_finished(struct registry *registry, struct transfer *transfer, struct error *err)
{
        struct http_request *request = &transfer->request;
        bool at_start = !transfer->current && !transfer->url;

        if (request->failure.code == ENOMEM) {
                *err = request->failure;
                return -1;
        }
        transfer->endpoint->answered |= request->status != 0 && at_start;
        if (request->status == 401 && at_start)
                return on_unauthorized(registry, transfer, err);
        if (request->status == 416 && !transfer->is_part &&
            (request->offset > 0 || request->end > 0)) {
                transfer->whole = true;
                wait_until(transfer, 0);
                return 0;
        }
        if (is_redirect(request))
                return on_redirect(registry, transfer, err);
        if (request->status != 0 && (request->status < 200 || request->status > 299))
                return on_refusal(registry, transfer, err);

        if (request->status != 0) {
                transfer->challenges = 0;
                transfer->answered = false;
        }
        if (request->failure.code != 0) {
                *err = request->failure;
                return try_again(registry, transfer, request->retry, -1, err);
        }
        if (transfer->ranged && request->end > 0 && transfer->have == request->end &&
            transfer->have < transfer->size) {
                transfer->tries = 0;
                wait_until(transfer, 0);
                return 0;
        }
        if (transfer->size != TRANSFER_SIZE_UNKNOWN && transfer->have < transfer->size) {
                error_set(err, EMSGSIZE, "got %" PRIu64 " of %" PRIu64 " bytes", transfer->have,
                          transfer->size);
                return try_again(registry, transfer, RETRY_ALWAYS, -1, err);
        }
        return finish(transfer, err);
}

/*
 * Leave an endpoint that failed for good for the next one, and say so. What came so
 * far counts: the digest decides in the end.
 */
static bool fall_back(struct registry *registry, struct transfer *transfer, struct error *err)
{
        struct endpoint *failed = transfer->endpoint, *next = failed + 1;
        const struct endpoint *end = registry->endpoints + registry->endpoint_count;

        if (!transfer->path || transfer->is_part || transfer->sink_failed || err->code == ENOMEM ||
            err->code == EINTR)
                return false;
        /* A server that has spoken HTTPS is not spoken to without it. */
        if (next < end && next->plain_retry && failed->answered)
                next++;
        if (next >= end)
                return false;
        report_warn(registry->report, "%s: %s; trying %s%s", failed->host, err->message,
                    next->plain_retry ? "http://" : "", next->host);
        http_reset(registry->http, &transfer->request);
        free(TAKE_PTR(transfer->current));
        free(TAKE_PTR(transfer->etag));
        transfer->endpoint = next;
        transfer->redirects = transfer->tries = transfer->challenges = 0;
        transfer->answered = transfer->whole = transfer->ranged = false;
        wait_until(transfer, 0);
        *err = (struct error)ERROR_INIT;
        return true;
}

int transfer_step(struct registry *registry, struct transfer *transfer, struct error *err)
{
        int rc = transfer->state == TRANSFER_WAITING ? begin(registry, transfer, err)
                                                     : on_finished(registry, transfer, err);

        if (rc < 0 && fall_back(registry, transfer, err))
                return 0;
        if (rc < 0 && transfer->sink->descriptor)
                error_prefix(err, "blob %s", transfer->sink->descriptor->digest);
        return rc;
}

void transfer_release(struct registry *registry, struct transfer *transfer)
{
        http_reset(registry->http, &transfer->request);
        free(TAKE_PTR(transfer->current));
        free(TAKE_PTR(transfer->etag));
        strbuf_release(&transfer->problem);
}
