#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "registry/transfer.h"
#include "registry/url.h"

struct download {
        struct registry_blob sink;
        struct transfer transfer;
        struct registry_download *asked;
        uint64_t have;   /* bytes given on */
        char *validator; /* what tells one version of the file from another; NULL: nothing does */
        bool begun;
};

static int on_begin(struct registry_blob *sink, uint64_t *ret_offset, struct error *err)
{
        struct download *download = sink->context;

        (void)err;
        *ret_offset = download->have;
        return 0;
}

static uint64_t content_length(const struct http_request *response)
{
        const char *length = http_header(response, "Content-Length", 0);

        return length && *length >= '0' && *length <= '9' ? strtoull(length, NULL, 10) : UINT64_MAX;
}

/* Begin, or make sure that it goes on with the same file. */
static int check_response(struct download *download, struct error *err)
{
        const struct http_request *response = &download->transfer.request;
        const char *validator = http_header(response, "ETag", 0);

        if (!validator)
                validator = http_header(response, "Last-Modified", 0);
        if (download->begun) {
                if (validator && download->validator && strcmp(validator, download->validator) != 0)
                        return error_set(err, ESTALE,
                                         "the file changed on the server during the download");
                return 0;
        }
        download->begun = true;
        download->validator = validator ? strdup(validator) : NULL;
        if (validator && !download->validator)
                return error_no_memory(err);
        return download->asked->size(download->asked, content_length(response), err);
}

static int on_data(struct registry_blob *sink, const void *data, size_t size, struct error *err)
{
        struct download *download = sink->context;

        if (check_response(download, err) < 0 ||
            download->asked->data(download->asked, data, size, err) < 0)
                return -1;
        download->have += size;
        return 0;
}

static int on_end(struct registry_blob *sink, const struct error *failure, struct error *err)
{
        (void)sink;
        (void)failure;
        (void)err;
        return 0;
}

static int check_url(const char *url, struct error *err)
{
        const char *host = strstr(url, "://");

        if (!url_valid(url) || !host)
                return error_set(err, EINVAL, "%.200s is not a URL of HTTP", url);
        host += strlen("://");
        if (memchr(host, '@', strcspn(host, "/?#")))
                return error_set(err, EINVAL, "a URL with a user name is not accepted");
        return 0;
}

static int check_trust(struct registry *registry, const char *url, struct error *err)
{
        const struct http_trust *trust = endpoint_trust(registry, registry->current, url, err);

        if (!trust)
                return -1;
        if (url_is_https(url) || trust->allow_http)
                return 0;
        return error_set(err, EPROTO, "%.200s is without HTTPS; ENROOT_ALLOW_HTTP=yes allows it",
                         url);
}

int registry_download(struct registry_download *asked, const struct registry_options *options,
                      struct report *report, struct error *err)
{
        auto_strbuf struct strbuf host = STRBUF_INIT;
        struct image_reference ref = { .repository = (char *)"" };
        auto_registry struct registry *registry = NULL;
        struct download download = {
                .sink = { .begin = on_begin, .data = on_data, .end = on_end },
                .transfer = { .url = asked->url, .size = TRANSFER_SIZE_UNKNOWN },
                .asked = asked,
        };
        int rc;

        if (check_url(asked->url, err) < 0)
                return -1;
        if (url_host(asked->url, &host) < 0)
                return error_no_memory(err);
        ref.registry = host.data; /* for messages */
        registry = registry_open(&ref, options, report, err);
        if (!registry || check_trust(registry, asked->url, err) < 0)
                return -1;
        download.transfer.endpoint = registry->current;
        download.sink.context = &download;
        download.transfer.sink = &download.sink;
        rc = transfer_run(registry, &download.transfer, 1, err);
        if (rc == 0 && !download.begun)
                rc = asked->size(asked, 0, err);
        transfer_release(registry, &download.transfer);
        free(download.validator);
        return rc;
}
