/*
 * docker://: a registry and the cache, tied together. The opening thread resolves
 * and reads the configuration; from the first request for a layer on, a thread of its
 * own fetches those that the cache lacks, top layer first, because that is the order
 * in which an import reads them.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "source/blobs.h"
#include "source/source_private.h"
#include "util/cleanup.h"
#include "util/quantity.h"
#include "util/thread.h"

struct docker_source {
        struct source base;
        struct image_reference ref;
        struct image_descriptor config;
        struct report *report;
        struct registry *registry;
        struct store *store;
        struct blobs layers;
        pthread_t thread;
        bool fetching; /* the thread was started and not yet joined */
};

static void *fetch_layers(void *context)
{
        struct docker_source *source = context;

        /* A failure stands in the set, where readers and verify find it. */
        (void)blobs_fetch(&source->layers, source->registry);
        return NULL;
}

static int start_thread(struct docker_source *source, struct error *err)
{
        int code = thread_start(&source->thread, fetch_layers, source);

        if (code != 0)
                return error_set(err, code, "cannot start a thread: %s", strerror(code));
        source->fetching = true;
        return 0;
}

/* Begin to fetch, when the first layer is asked for: who only looks needs none. */
static int start_layers(struct docker_source *source, struct error *err)
{
        struct report *report = source->report;
        char size[QUANTITY_SIZE];
        uint64_t bytes;
        size_t missing;

        if (blobs_init(&source->layers, source->store, report, source->base.record.layers,
                       source->base.record.layer_count, err) < 0)
                return -1;
        missing = blobs_missing(&source->layers, &bytes);
        if (missing == 0) {
                report_info(report, "Found all layers in cache");
                return 0;
        }
        if (store_check_space(source->store, bytes, err) < 0)
                return -1;
        quantity_format_size(bytes, size);
        report_info(report, "Downloading %zu missing layer%s (%s)", missing,
                    missing == 1 ? "" : "s", size);
        if (report) {
                report->progress.blobs_total += missing;
                report->progress.bytes_total += bytes;
        }
        return start_thread(source, err);
}

static void join(struct docker_source *source)
{
        if (source->fetching)
                (void)pthread_join(source->thread, NULL);
        source->fetching = false;
}

static void docker_close(struct source *base)
{
        struct docker_source *source = (struct docker_source *)base;

        if (source->fetching)
                registry_stop(source->registry);
        join(source);
        blobs_release(&source->layers);
        if (source->registry)
                registry_close(source->registry);
        image_descriptor_release(&source->config);
        image_reference_release(&source->ref);
        source_release(base);
        if (source->store)
                store_close(source->store);
        free(source);
}

static struct stream *docker_layer(struct source *base, size_t index, struct error *err)
{
        struct docker_source *source = (struct docker_source *)base;

        if (!source->layers.items && start_layers(source, err) < 0)
                return NULL;
        return blob_stream(blobs_find(&source->layers, base->record.layers[index].digest), err);
}

static int docker_verify(struct source *base, struct error *err)
{
        struct docker_source *source = (struct docker_source *)base;

        if (!source->layers.items && start_layers(source, err) < 0)
                return -1;
        join(source);
        if (source->layers.failure.code == 0)
                return 0;
        *err = source->layers.failure;
        return -1;
}

static void cleanup_blobs(struct blobs *set)
{
        blobs_release(set);
}

/* The text of the configuration, which comes through the cache like any blob. */
static char *fetch_config(struct docker_source *source, struct error *err)
{
        const struct image_descriptor *descriptor = &source->config;
        auto_cleanup(cleanup_blobs) struct blobs set = { .items = NULL };
        auto_free char *text = NULL;
        auto_stream struct stream *stream = NULL;
        ssize_t length;

        if (blobs_init(&set, source->store, NULL, descriptor, 1, err) < 0)
                return NULL;
        if (blobs_fetch(&set, source->registry) < 0) {
                *err = set.failure;
                return NULL;
        }
        text = malloc(descriptor->size + 1);
        if (!text) {
                error_no_memory(err);
                return NULL;
        }
        stream = blob_stream(&set.items[0], err);
        length = stream ? stream_read_full(stream, text, descriptor->size, err) : -1;
        if (length < 0)
                return NULL;
        text[length] = '\0';
        return TAKE_PTR(text);
}

static int read_config(struct docker_source *source, const struct image_platform *platform,
                       struct error *err)
{
        const struct image_descriptor *descriptor = &source->config;
        char *config;

        if (descriptor->size > IMAGE_CONFIG_LIMIT)
                return error_set(err, EFBIG, "the image configuration has more than %u bytes",
                                 IMAGE_CONFIG_LIMIT);
        /* It is small, and says what will be executed: never taken from the cache unchecked. */
        if (store_drop_damaged(source->store, descriptor->digest, err) < 0)
                return -1;
        config = fetch_config(source, err);
        if (!config)
                return -1;
        if (source_set_config(&source->base, config, strlen(config), platform, err) < 0)
                return error_prefix(err, "configuration %s", descriptor->digest);
        return 0;
}

static int open_image(struct docker_source *source, const char *uri,
                      const struct source_options *options, struct error *err)
{
        struct image_record *record = &source->base.record;
        struct image_manifest manifest = { .layers = NULL };

        if (image_reference_parse(uri, &source->ref, err) < 0)
                return -1;
        record->provenance = image_reference_uri(&source->ref);
        if (!record->provenance)
                return error_no_memory(err);
        source->store = source_open_store(options, source->report, err);
        if (!source->store)
                return -1;
        source->base.cache = source->store;
        source->registry = registry_open(&source->ref, &options->registry, source->report, err);
        if (!source->registry)
                return -1;
        if (registry_resolve(source->registry, &options->platform, &manifest, record->digest,
                             err) < 0)
                return -1;
        source->config = manifest.config;
        record->layers = manifest.layers;
        record->layer_count = manifest.layer_count;
        if (read_config(source, &options->platform, err) < 0)
                return error_prefix(err, "%s", record->provenance);
        return 0;
}

struct source *source_open_docker(const char *uri, const struct source_options *options,
                                  struct report *report, struct error *err)
{
        struct docker_source *source = calloc(1, sizeof(*source));

        if (!source) {
                error_no_memory(err);
                return NULL;
        }
        source->base.layer = docker_layer;
        source->base.verify = docker_verify;
        source->base.close = docker_close;
        source->report = report;
        if (open_image(source, uri, options, err) < 0) {
                docker_close(&source->base);
                return NULL;
        }
        return &source->base;
}
