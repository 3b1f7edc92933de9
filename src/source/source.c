#include "source/source.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "source/source_private.h"

static const struct {
        const char *scheme;
        struct source *(*open)(const char *uri, const struct source_options *options,
                               struct report *report, struct error *err);
} schemes[] = {
        { "docker://", source_open_docker },
};

bool source_is_uri(const char *word)
{
        for (size_t i = 0; i < ARRAY_SIZE(schemes); i++)
                if (strncmp(word, schemes[i].scheme, strlen(schemes[i].scheme)) == 0)
                        return true;
        return false;
}

struct source *source_open(const char *uri, const struct source_options *options,
                           struct report *report, struct error *err)
{
        for (size_t i = 0; i < ARRAY_SIZE(schemes); i++) {
                if (strncmp(uri, schemes[i].scheme, strlen(schemes[i].scheme)) == 0)
                        return schemes[i].open(uri, options, report, err);
        }
        error_set(err, EINVAL, "%s: an image is named as", uri);
        for (size_t i = 0; i < ARRAY_SIZE(schemes); i++)
                error_append(err, "%s %sIMAGE", i > 0 ? "," : "", schemes[i].scheme);
        return NULL;
}

void source_close(struct source *source)
{
        source->close(source);
}

void source_release(struct source *source)
{
        image_config_release(&source->config);
        image_record_release(&source->record);
}

struct store *source_open_store(const struct source_options *options, struct report *report,
                                struct error *err)
{
        struct store *store = store_open(options->cache_path, err);
        struct error why = ERROR_INIT;

        if (store && options->site_cache_path && *options->site_cache_path &&
            store_add_site(store, options->site_cache_path, &why) < 0)
                report_warn(report, "%s; going on without it", why.message);
        return store;
}

const struct image_config *source_config(const struct source *source)
{
        return &source->config;
}

const struct image_record *source_record(const struct source *source)
{
        return &source->record;
}

struct stream *source_layer(struct source *source, size_t index, struct error *err)
{
        if (index >= source->record.layer_count) {
                error_set(err, EINVAL, "the image has no layer %zu", index);
                return NULL;
        }
        return source->layer(source, index, err);
}

int source_verify(struct source *source, struct error *err)
{
        return source->verify(source, err);
}
