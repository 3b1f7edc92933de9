#include "source/stored.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>

#include "codec/codec.h"
#include "util/cancel.h"

/* ---- streams that check what they give ---- */

struct checked_stream {
        struct stream base;
        struct stream *content;
        struct sha256 *sha;
        struct stored_layer *layer;
        char *digest; /* of the layer; empty: not known, to be set */
        bool ended;
};

static int check_digest(struct checked_stream *self, struct error *err)
{
        char actual[IMAGE_DIGEST_SIZE] = "sha256:";

        sha256_finish(self->sha, actual + strlen(actual));
        self->ended = true;
        if (!self->digest[0])
                memcpy(self->digest, actual, sizeof(actual));
        if (strcmp(self->digest, actual) != 0)
                return error_set(err, EBADMSG, "%s: the content is %s", self->digest, actual);
        self->layer->verified = true;
        return 0;
}

static ssize_t take(struct checked_stream *self, const void *data, ssize_t size, struct error *err)
{
        if (size > 0)
                sha256_update(self->sha, data, (size_t)size);
        if (size == 0 && !self->ended && check_digest(self, err) < 0)
                return -1;
        return size;
}

static ssize_t checked_read(struct stream *stream, void *buffer, size_t size, struct error *err)
{
        struct checked_stream *self = (struct checked_stream *)stream;

        if (size == 0)
                return 0;
        return take(self, buffer, self->content->read(self->content, buffer, size, err), err);
}

static ssize_t checked_next(struct stream *stream, const void **ret_data, struct error *err)
{
        struct checked_stream *self = (struct checked_stream *)stream;
        ssize_t size = self->content->next(self->content, ret_data, err);

        return take(self, *ret_data, size, err);
}

static void checked_close(struct stream *stream)
{
        struct checked_stream *self = (struct checked_stream *)stream;

        stream_close(self->content);
        sha256_free(self->sha);
        free(self);
}

/* Takes content, which is closed on failure, too. */
static struct stream *checked_stream(struct stream *content, struct stored_layer *layer,
                                     char digest[IMAGE_DIGEST_SIZE], struct error *err)
{
        struct checked_stream *self = calloc(1, sizeof(*self));

        if (!self) {
                stream_close(content);
                error_no_memory(err);
                return NULL;
        }
        self->base = (struct stream){ .read = checked_read,
                                      .next = content->next ? checked_next : NULL,
                                      .close = checked_close };
        self->content = content;
        self->layer = layer;
        self->digest = digest;
        self->sha = sha256_new(err);
        if (!self->sha) {
                checked_close(&self->base);
                return NULL;
        }
        return &self->base;
}

/* ---- the source ---- */

static int find_layer(const struct stored_source *source, size_t index, struct extent *ret,
                      struct error *err)
{
        if (source->archive)
                return archive_find(source->archive, source->layers[index].member, ret, err);
        *ret = source->file;
        ret->fd = fcntl(source->file.fd, F_DUPFD_CLOEXEC, 0);
        return ret->fd < 0 ? error_errno(err, "cannot duplicate a descriptor") : 0;
}

static struct stream *stored_layer(struct source *base, size_t index, struct error *err)
{
        struct stored_source *source = (struct stored_source *)base;
        struct image_descriptor *descriptor = &base->record.layers[index];
        auto_extent struct extent extent = EXTENT_INIT;
        struct stream *content;

        if (find_layer(source, index, &extent, err) < 0)
                return NULL;
        if (extent.size != descriptor->size) {
                error_set(err, EMSGSIZE, "%s: has %" PRIu64 " bytes instead of %" PRIu64,
                          descriptor->digest, extent.size, descriptor->size);
                return NULL;
        }
        content = extent_stream(&extent, source->report, err);
        if (content && source->plain_digests)
                content = codec_open(content, err);
        return content ? checked_stream(content, &source->layers[index], descriptor->digest, err)
                       : NULL;
}

/* Read a layer to its end, where its digest is checked or set. */
static int read_layer(struct stored_source *source, size_t index, struct error *err)
{
        auto_stream struct stream *stream = stored_layer(&source->base, index, err);
        char buffer[16384];
        ssize_t size;

        if (!stream)
                return -1;
        do {
                const void *data;

                size = stream_next(stream, buffer, sizeof(buffer), &data, err);
                if (size < 0 || cancel_check(err) < 0)
                        return -1;
        } while (size > 0);
        return 0;
}

static int stored_verify(struct source *base, struct error *err)
{
        struct stored_source *source = (struct stored_source *)base;

        for (size_t i = 0; i < base->record.layer_count; i++)
                if (!source->layers[i].verified && read_layer(source, i, err) < 0)
                        return error_prefix(err, "layer %zu", i + 1);
        return 0;
}

static void stored_close(struct source *base)
{
        struct stored_source *source = (struct stored_source *)base;

        for (size_t i = 0; source->layers && i < base->record.layer_count; i++)
                free(source->layers[i].member);
        free(source->layers);
        extent_release(&source->file);
        if (source->archive)
                archive_close(source->archive);
        source_release(base);
        free(source);
}

struct stored_source *stored_new(struct report *report, struct error *err)
{
        struct stored_source *source = calloc(1, sizeof(*source));

        if (!source) {
                error_no_memory(err);
                return NULL;
        }
        source->base.layer = stored_layer;
        source->base.verify = stored_verify;
        source->base.close = stored_close;
        source->report = report;
        source->file = (struct extent)EXTENT_INIT;
        return source;
}

struct source *stored_open(const char *scheme, const char *uri,
                           const struct source_options *options, struct report *report,
                           int (*open)(struct stored_source *source,
                                       const struct location *location,
                                       const struct source_options *options, struct error *err),
                           struct error *err)
{
        auto_location struct location location = { .scheme = NULL };
        auto_stored struct stored_source *source = stored_new(report, err);

        if (!source)
                return NULL;
        if (location_parse(scheme, uri, &location, err) < 0 ||
            open(source, &location, options, err) < 0) {
                error_prefix(err, "%s", uri);
                return NULL;
        }
        return &TAKE_PTR(source)->base;
}

int stored_allocate(struct stored_source *source, size_t count, struct error *err)
{
        struct image_record *record = &source->base.record;

        source->layers = calloc(count + 1, sizeof(*source->layers));
        if (source->layers && !record->layers)
                record->layers = calloc(count + 1, sizeof(*record->layers));
        if (!source->layers || !record->layers)
                return error_no_memory(err);
        record->layer_count = count;
        return 0;
}

/* Bytes that will be read. */
static void count_bytes(struct stored_source *source, uint64_t bytes)
{
        if (source->report)
                source->report->progress.bytes_total += bytes;
}

int stored_begin(struct stored_source *source, struct error *err)
{
        struct image_record *record = &source->base.record;

        for (size_t i = 0; i < record->layer_count; i++) {
                struct image_descriptor *descriptor = &record->layers[i];
                auto_extent struct extent extent = EXTENT_INIT;

                if (find_layer(source, i, &extent, err) < 0)
                        return error_prefix(err, "layer %zu", i + 1);
                if (descriptor->size == 0)
                        descriptor->size = extent.size;
                if (descriptor->size != extent.size)
                        return error_set(err, EMSGSIZE,
                                         "layer %s: has %" PRIu64 " bytes instead of %" PRIu64,
                                         descriptor->digest, extent.size, descriptor->size);
                count_bytes(source, extent.size);
                if (descriptor->digest[0])
                        continue;
                count_bytes(source, extent.size);
                if (read_layer(source, i, err) < 0)
                        return error_prefix(err, "layer %zu", i + 1);
        }
        return 0;
}

/* ---- locations ---- */

static bool exists(const char *path)
{
        return access(path, F_OK) == 0;
}

int location_parse(const char *scheme, const char *uri, struct location *ret, struct error *err)
{
        auto_location struct location location = { .scheme = scheme };
        const char *text = uri + strlen(scheme);
        const char *colon = strchr(text, ':');
        const char *first = colon;
        size_t length = strlen(text);

        if (text[0] == '\0' || colon == text)
                return error_set(err, EINVAL, "a file name is missing");
        if (colon && !exists(text)) {
                for (; colon; colon = strchr(colon + 1, ':')) {
                        auto_free char *prefix = strndup(text, (size_t)(colon - text));

                        if (!prefix)
                                return error_no_memory(err);
                        if (strcmp(prefix, "-") == 0 || exists(prefix))
                                break;
                }
                /* Nothing is there: that is said of the likeliest name. */
                colon = colon ? colon : first;
                length = (size_t)(colon - text);
        }
        location.path = strndup(text, length);
        if (text[length] == ':')
                location.name = strdup(text + length + 1);
        if (!location.path || (text[length] == ':' && !location.name))
                return error_no_memory(err);
        if (location.name && location.name[0] == '\0')
                return error_set(err, EINVAL, "nothing follows the last \":\"");
        *ret = TAKE(location, (struct location){ .scheme = NULL });
        return 0;
}

void location_release(struct location *location)
{
        free(location->path);
        free(location->name);
}

int location_open(const struct location *location, struct error *err)
{
        int fd;

        if (strcmp(location->path, "-") == 0) {
                fd = fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 0);
                return fd < 0 ? error_errno(err, "standard input") : fd;
        }
        fd = open(location->path, O_RDONLY | O_CLOEXEC);
        return fd < 0 ? error_errno(err, "%s", location->path) : fd;
}

int stored_set_provenance(struct stored_source *source, const struct location *location,
                          const char *name, struct error *err)
{
        auto_strbuf struct strbuf uri = STRBUF_INIT;

        if (source->base.record.provenance)
                return 0;
        if (!name)
                name = location->name;
        strbuf_printf(&uri, "%s%s%s%s", location->scheme, location->path, name ? ":" : "",
                      name ? name : "");
        if (uri.failed)
                return error_no_memory(err);
        source->base.record.provenance = strbuf_take(&uri);
        return 0;
}
