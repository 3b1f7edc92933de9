#include "registry/document.h"

#include <errno.h>
#include <string.h>

#include "registry/transfer.h"

struct memory_sink {
        struct registry_blob base;
        struct strbuf *text;
        size_t limit;
};

static int memory_begin(struct registry_blob *blob, uint64_t *ret_offset, struct error *err)
{
        struct memory_sink *sink = blob->context;

        (void)err;
        strbuf_reset(sink->text);
        *ret_offset = 0;
        return 0;
}

static int memory_data(struct registry_blob *blob, const void *data, size_t size, struct error *err)
{
        struct memory_sink *sink = blob->context;

        if (size > sink->limit - sink->text->length)
                return error_set(err, EFBIG, "a document of more than %zu bytes", sink->limit);
        return strbuf_append_mem(sink->text, data, size) < 0 ? error_no_memory(err) : 0;
}

static int memory_end(struct registry_blob *blob, const struct error *failure, struct error *err)
{
        (void)blob;
        (void)failure;
        (void)err;
        return 0;
}

void document_release(struct document *document)
{
        strbuf_release(&document->text);
        free(document->media_type);
        free(document->digest);
        *document = (struct document)DOCUMENT_INIT;
}

/* Copy the headers of interest. Returns 0, or -1 without memory. */
static int take_headers(const struct http_request *response, struct document *document)
{
        const char *type = http_header(response, "Content-Type", 0);
        const char *digest = http_header(response, "Docker-Content-Digest", 0);

        if (type) {
                document->media_type = strndup(type, strcspn(type, " \t;,"));
                if (!document->media_type)
                        return -1;
        }
        if (digest) {
                document->digest = strdup(digest);
                if (!document->digest)
                        return -1;
        }
        return 0;
}

int document_get(struct registry *registry, const struct document_request *request,
                 struct document *ret, struct error *err)
{
        auto_document struct document document = DOCUMENT_INIT;
        struct memory_sink sink = {
                .base = { .begin = memory_begin, .data = memory_data, .end = memory_end },
                .text = &document.text,
                .limit = request->limit,
        };
        struct transfer transfer = {
                .path = request->path,
                .url = request->url,
                .authorization = request->authorization,
                .form = request->form,
                .endpoint = request->endpoint ? request->endpoint : registry->current,
                .accept = request->accept,
                .size = TRANSFER_SIZE_UNKNOWN,
                .sink = &sink.base,
        };
        int rc;

        sink.base.context = &sink;
        rc = transfer_run(registry, &transfer, 1, err);
        document.endpoint = transfer.endpoint;
        if (rc == 0 && take_headers(&transfer.request, &document) < 0)
                rc = error_no_memory(err);
        transfer_release(registry, &transfer);
        if (rc < 0)
                return -1;
        *ret = document;
        document = (struct document)DOCUMENT_INIT;
        return 0;
}
