#include "registry/refusal.h"

#include <ctype.h>
#include <errno.h>
#include <string.h>

#include "registry/url.h"

/* The registry's words, fit for a terminal and a line of a log. malloc'd, or NULL without any. */
static char *detail_of(const struct transfer *transfer)
{
        const struct strbuf *problem = &transfer->problem;
        char *detail = problem->length > 0
                               ? image_parse_registry_error(problem->data, problem->length)
                               : NULL;

        for (char *p = detail; p && *p; p++) {
                if (iscntrl((unsigned char)*p))
                        *p = ' ';
        }
        return detail;
}

/* Go's net/http, nginx and others answer 400 and say in plain words what they expected. */
static bool wants_https(const struct transfer *transfer)
{
        const struct strbuf *problem = &transfer->problem;

        return transfer->request.status == 400 && !url_is_https(transfer->endpoint->base) &&
               memmem(strbuf_text(problem), problem->length, "HTTPS", 5);
}

int refusal_explain(struct registry *registry, const struct transfer *transfer, struct error *err)
{
        long status = transfer->request.status;
        auto_free char *detail = detail_of(transfer);
        auto_strbuf struct strbuf host = STRBUF_INIT;
        const char *subject = transfer->current ? transfer->current : transfer->url;

        if (url_host(subject ? subject : transfer->endpoint->base, &host) < 0)
                return error_no_memory(err);
        error_set(err, EIO, "%.200s answered %ld%s%.300s%s", host.data, status, detail ? " (" : "",
                  detail ? detail : "", detail ? ")" : "");
        switch (status) {
        case 401:
        case 403:
                err->code = EACCES;
                if (subject)
                        return -1;
                error_append(err, ": there is no repository %s, or no access to it",
                             transfer->endpoint->repository);
                return auth_explain(registry, transfer->endpoint, err);
        case 404:
                err->code = ENOENT;
                if (transfer->path && strncmp(transfer->path, "manifests/", 10) == 0)
                        error_append(err, ": no such image or tag");
                return -1;
        case 429:
                err->code = EBUSY;
                return error_append(err, ": too many requests from here");
        case 400:
                if (wants_https(transfer))
                        error_append(err, ": it speaks HTTPS only; unset ENROOT_ALLOW_HTTP");
                return -1;
        default:
                return -1;
        }
}
