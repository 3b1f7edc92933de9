#include "commands/pipeline.h"

#include <errno.h>
#include <string.h>

#include "layer/layer.h"
#include "util/cancel.h"
#include "util/path.h"

/* How far a layer is decompressed ahead of the merge, and how many layers at most. */
#define PREFETCH_BYTES  (4u << 20)
#define PREFETCH_LAYERS 8

/* The same for a layer that several threads decompress: six or so chunks of 5 MiB. */
#define CHUNKS_BYTES (32u << 20)

#define CONFIGURATION_LIMIT (16u << 20)

/* ---- the image ---- */

void remote_image_release(struct remote_image *image)
{
        if (image->source)
                source_close(TAKE_PTR(image->source));
        free(TAKE_PTR(image->credentials));
}

int remote_image_prepare(struct remote_image *ret, const struct command_context *context,
                         const char *arch, struct error *err)
{
        const struct config *config = context->config;

        ret->credentials = path_join(config->config_path, ".credentials");
        if (!ret->credentials)
                return error_no_memory(err);
        ret->options = (struct source_options){
                .registry = {
                        .allow_http = config->allow_http,
                        .connect_timeout = config->connect_timeout,
                        .transfer_timeout = config->transfer_timeout,
                        .retries = config->transfer_retries,
                        .max_connections = config->max_connections,
                        .credentials_file = ret->credentials,
                        .sysconf_path = config->sysconf_path,
                        .config_path = config->config_path,
                        .environment = &config->environment,
                },
                .cache_path = config->cache_path,
                .site_cache_path = config->site_cache_path,
                .temp_path = config->temp_path,
        };
        return image_platform_parse(arch, &ret->options.platform, err);
}

int remote_image_open(struct remote_image *ret, const struct command_context *context,
                      const char *uri, const char *arch, struct error *err)
{
        ret->uri = uri;
        ret->arch = arch;
        if (remote_image_prepare(ret, context, arch, err) < 0)
                return -1;
        ret->source = source_open(uri, &ret->options, context->report, err);
        return ret->source ? 0 : -1;
}

/* ---- the merge ---- */

struct pipeline {
        const struct command_context *context;
        struct source *source;
        struct tree *tree;
        const struct content_sink *sink;

        /* Layers whose decompression has been started, top first. */
        struct stream *ahead[PREFETCH_LAYERS];
        size_t ahead_limit, ahead_count;
        size_t opened; /* layers opened so far, counted from the top */
};

static int store_content(struct pipeline *pipeline, struct tree_inode *file, const char *content,
                         struct error *err)
{
        const struct content_sink *sink = pipeline->sink;

        if (sink->begin_file(sink->context, file, err) < 0)
                return -1;
        if (file->meta.size > 0 &&
            sink->append(sink->context, content, file->meta.size, 0, err) < 0)
                return -1;
        return sink->end_file(sink->context, err);
}

/* Merge a file that this program writes itself. */
static int add_file(struct pipeline *pipeline, const char *path, const struct strbuf *content,
                    int64_t mtime, struct error *err)
{
        auto_cleanup(entry_release) struct entry entry = {
                .path = strdup(path),
                .meta = { .type = ENTRY_FILE,
                          .mode = 0644,
                          .mtime = mtime,
                          .size = content->length },
        };
        struct tree_inode *file = NULL;

        if (!entry.path)
                return error_no_memory(err);
        if (tree_add(pipeline->tree, &entry, &file, err) < 0)
                return -1;
        return file ? store_content(pipeline, file, strbuf_text(content), err) : 0;
}

/* The files that make the image's configuration known at start: the topmost layer. */
static int add_configuration(struct pipeline *pipeline, int64_t mtime, struct error *err)
{
        const struct image_config *config = source_config(pipeline->source);
        auto_strbuf struct strbuf rc = STRBUF_INIT, rc_local = STRBUF_INIT;
        auto_strbuf struct strbuf fstab = STRBUF_INIT, environment = STRBUF_INIT;
        const struct image_record *record = source_record(pipeline->source);
        auto_strbuf struct strbuf record_text = STRBUF_INIT;

        if (image_write_rc(config, record->provenance, &rc, err) < 0 ||
            image_write_rc_local(&rc_local, err) < 0 ||
            image_write_fstab(config, &fstab, err) < 0 ||
            image_write_environment(config, &environment, err) < 0 ||
            image_record_write(record, &record_text, err) < 0)
                return error_prefix(err, "image configuration");
        if (rc.length + fstab.length + environment.length + record_text.length >
            CONFIGURATION_LIMIT)
                return error_set(err, EFBIG, "image configuration: too large");

        if (tree_begin_layer(pipeline->tree, err) < 0 ||
            add_file(pipeline, "etc/rc", &rc, mtime, err) < 0 ||
            add_file(pipeline, "etc/rc.local", &rc_local, mtime, err) < 0 ||
            add_file(pipeline, "etc/fstab", &fstab, mtime, err) < 0 ||
            add_file(pipeline, "etc/environment", &environment, mtime, err) < 0 ||
            add_file(pipeline, IMAGE_RECORD_PATH, &record_text, mtime, err) < 0)
                return -1;
        return 0;
}

/*
 * The working directory, which need not exist in any layer, as the lowest layer:
 * there it cannot hide anything, and a link on the way to it stays a link.
 */
static int add_working_dir(struct pipeline *pipeline, int64_t mtime, struct error *err)
{
        const char *working_dir = source_config(pipeline->source)->working_dir;
        auto_strbuf struct strbuf path = STRBUF_INIT;
        auto_cleanup(entry_release) struct entry entry = {
                .meta = { .type = ENTRY_DIRECTORY, .mode = 0755, .mtime = mtime },
        };
        struct tree_inode *file = NULL;

        if (!working_dir)
                return 0;
        if (path_normalize(working_dir, &path) < 0)
                return error_set(err, ENAMETOOLONG, "working directory %.200s: name too long",
                                 working_dir);
        entry.path = strbuf_take(&path);
        if (!entry.path)
                return error_no_memory(err);
        if (tree_begin_layer(pipeline->tree, err) < 0)
                return -1;
        return tree_add(pipeline->tree, &entry, &file, err);
}

static int store_file(struct pipeline *pipeline, struct layer *layer, struct tree_inode *file,
                      struct error *err)
{
        const struct content_sink *sink = pipeline->sink;
        struct report *report = pipeline->context->report;

        if (sink->begin_file(sink->context, file, err) < 0)
                return -1;
        for (;;) {
                const void *data = NULL;
                uint64_t offset = file->meta.size; /* at the end: a hole may precede it */
                ssize_t size = layer_read(layer, &data, &offset, err);

                if (size < 0 || cancel_check(err) < 0)
                        return -1;
                if (sink->append(sink->context, data, (size_t)size, offset, err) < 0)
                        return -1;
                if (size == 0)
                        return sink->end_file(sink->context, err);
                report->progress.bytes_written += (uint64_t)size;
        }
}

/* Merge every entry of a layer; layer is an open tar stream. */
static int merge_entries(struct pipeline *pipeline, struct layer *layer, struct error *err)
{
        for (;;) {
                auto_cleanup(entry_release) struct entry entry = { .path = NULL };
                struct tree_inode *file = NULL;
                int more = layer_next(layer, &entry, err);

                if (more <= 0)
                        return more;
                if (tree_add(pipeline->tree, &entry, &file, err) < 0 || cancel_check(err) < 0)
                        return -1;
                pipeline->context->report->progress.entries++;
                if (file && store_file(pipeline, layer, file, err) < 0)
                        return -1;
        }
}

/* Start the decompression of a layer, 0 being the top one, in threads of its own. */
static struct stream *open_layer(struct pipeline *pipeline, size_t from_top, struct error *err)
{
        size_t index = source_record(pipeline->source)->layer_count - 1 - from_top;
        const struct content_limits limits = {
                .threads = pipeline->context->config->max_processors,
                .ahead = PREFETCH_BYTES,
                .chunks_ahead = CHUNKS_BYTES,
        };

        return source_content(pipeline->source, index, &limits, err);
}

/* The next layer down; the ones below it are started as well. */
static struct stream *next_layer(struct pipeline *pipeline, struct error *err)
{
        size_t total = source_record(pipeline->source)->layer_count;
        struct stream *next;

        while (pipeline->ahead_count < pipeline->ahead_limit && pipeline->opened < total) {
                struct stream *stream = open_layer(pipeline, pipeline->opened, err);

                if (!stream)
                        return NULL;
                pipeline->ahead[pipeline->ahead_count++] = stream;
                pipeline->opened++;
        }
        next = pipeline->ahead[0];
        pipeline->ahead_count--;
        memmove(pipeline->ahead, pipeline->ahead + 1,
                pipeline->ahead_count * sizeof(*pipeline->ahead));
        return next;
}

static void close_ahead(struct pipeline *pipeline)
{
        for (size_t i = 0; i < pipeline->ahead_count; i++)
                stream_close(pipeline->ahead[i]);
}

/* The stream then belongs to the layer. */
static int merge_stream(struct pipeline *pipeline, struct stream *content, struct error *err)
{
        auto_layer struct layer *layer = content ? layer_open(content, err) : NULL;

        return layer ? merge_entries(pipeline, layer, err) : -1;
}

static int merge_layers(struct pipeline *pipeline, struct error *err)
{
        size_t total = source_record(pipeline->source)->layer_count;
        struct report *report = pipeline->context->report;

        report->progress.layers_total = total;
        for (size_t from_top = 0; from_top < total; from_top++) {
                if (tree_begin_layer(pipeline->tree, err) < 0 ||
                    merge_stream(pipeline, next_layer(pipeline, err), err) < 0)
                        return error_prefix(err, "layer %zu of %zu", total - from_top, total);
                if (tree_needs_rescan(pipeline->tree) &&
                    (tree_begin_rescan(pipeline->tree, err) < 0 ||
                     merge_stream(pipeline, open_layer(pipeline, from_top, err), err) < 0))
                        return error_prefix(err, "layer %zu of %zu", total - from_top, total);
                report->progress.layers_done++;
        }
        return 0;
}

int pipeline_merge(const struct command_context *context, struct source *source, struct tree *tree,
                   const struct content_sink *sink, struct error *err)
{
        const struct config *config = context->config;
        int64_t mtime = config->has_source_date_epoch ? config->source_date_epoch : 0;
        struct pipeline pipeline = {
                .context = context,
                .source = source,
                .tree = tree,
                .sink = sink,
                .ahead_limit = config->max_processors < PREFETCH_LAYERS ? config->max_processors
                                                                        : PREFETCH_LAYERS,
        };
        int result;

        if (add_configuration(&pipeline, mtime, err) < 0)
                return -1;
        result = merge_layers(&pipeline, err);
        close_ahead(&pipeline);
        if (result < 0 || add_working_dir(&pipeline, mtime, err) < 0)
                return -1;
        return tree_finish(tree, mtime, err);
}
