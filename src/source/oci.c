/*
 * oci: and oci-archive: — an OCI image layout (image-spec, image-layout.md) in a
 * directory or a tar archive. Every blob on the way to the layers is verified, too.
 */
#include <errno.h>
#include <string.h>

#include "source/stored.h"

/* How deep indexes may be nested. BuildKit and Docker make two levels of them. */
#define INDEX_DEPTH_LIMIT 8

/* "blobs/sha256/HEX" */
#define BLOB_PATH_SIZE (sizeof("blobs/sha256/") + SHA256_HEX_SIZE)

static void blob_path(const char digest[IMAGE_DIGEST_SIZE], char path[BLOB_PATH_SIZE])
{
        (void)snprintf(path, BLOB_PATH_SIZE, "blobs/sha256/%s", digest + strlen("sha256:"));
}

/* Append a blob that is read into memory; its size has been checked against a limit. */
static int read_blob(const struct archive *archive, const struct image_descriptor *descriptor,
                     struct strbuf *content, struct error *err)
{
        char path[BLOB_PATH_SIZE], actual[IMAGE_DIGEST_SIZE] = "sha256:";

        blob_path(descriptor->digest, path);
        if (archive_read(archive, path, IMAGE_CONFIG_LIMIT, content, err) < 0 ||
            sha256_of(strbuf_text(content), content->length, actual + strlen(actual), err) < 0)
                return -1;
        if (content->length != descriptor->size || strcmp(descriptor->digest, actual) != 0)
                return error_set(err, EBADMSG, "%s: the content is %s", descriptor->digest, actual);
        return 0;
}

/* Follow indexes to the manifest that is for the platform. */
static int resolve(const struct archive *archive, const struct image_platform *platform,
                   struct image_descriptor *descriptor, struct image_manifest *ret,
                   struct error *err)
{
        for (unsigned int depth = 0; depth < INDEX_DEPTH_LIMIT; depth++) {
                auto_strbuf struct strbuf text = STRBUF_INIT;
                auto_image_descriptor struct image_descriptor next = { .media_type = NULL };
                enum image_document type;

                if (read_blob(archive, descriptor, &text, err) < 0 ||
                    image_document_type(strbuf_text(&text), text.length, descriptor->media_type,
                                        &type, err) < 0)
                        return -1;
                if (type == IMAGE_DOCUMENT_MANIFEST)
                        return image_manifest_parse(text.data, text.length, ret, err);
                if (image_index_select(text.data, text.length, platform, &next, err) < 0)
                        return -1;
                image_descriptor_release(descriptor);
                *descriptor = TAKE(next, (struct image_descriptor){ .media_type = NULL });
        }
        return error_set(err, ELOOP, "more than %d indexes inside each other", INDEX_DEPTH_LIMIT);
}

static int set_layers(struct stored_source *source, struct image_manifest *manifest,
                      struct error *err)
{
        struct image_record *record = &source->base.record;
        size_t count = manifest->layer_count;

        record->layers = TAKE_PTR(manifest->layers);
        manifest->layer_count = 0;
        record->layer_count = count;
        if (stored_allocate(source, count, err) < 0)
                return -1;
        for (size_t i = 0; i < count; i++) {
                char path[BLOB_PATH_SIZE];

                blob_path(record->layers[i].digest, path);
                source->layers[i].member = strdup(path);
                if (!source->layers[i].member)
                        return error_no_memory(err);
        }
        return stored_begin(source, err);
}

/* Choose an image of the layout, and give its name where it has one. */
static int choose(const struct archive *archive, const char *name,
                  const struct image_platform *platform, struct image_descriptor *ret,
                  char **ret_name, struct error *err)
{
        auto_strbuf struct strbuf index = STRBUF_INIT;

        if (archive_read(archive, "index.json", IMAGE_MANIFEST_LIMIT, &index, err) < 0) {
                if (err->code == ENOENT)
                        error_append(err, ": this is not an OCI image layout");
                return -1;
        }
        if (image_layout_select(strbuf_text(&index), index.length, name, platform, ret, ret_name,
                                err) < 0)
                return error_prefix(err, "index.json");
        return 0;
}

static int open_layout(struct stored_source *source, const struct location *location,
                       const struct image_platform *platform, struct error *err)
{
        auto_image_descriptor struct image_descriptor descriptor = { .media_type = NULL };
        auto_image_manifest struct image_manifest manifest = { .layers = NULL };
        auto_strbuf struct strbuf config = STRBUF_INIT;
        auto_free char *name = NULL;
        size_t length;

        if (choose(source->archive, location->name, platform, &descriptor, &name, err) < 0 ||
            stored_set_provenance(source, location, name, err) < 0 ||
            resolve(source->archive, platform, &descriptor, &manifest, err) < 0)
                return -1;
        memcpy(source->base.record.digest, descriptor.digest, sizeof(descriptor.digest));
        if (read_blob(source->archive, &manifest.config, &config, err) < 0)
                return error_prefix(err, "configuration");
        length = config.length;
        if (source_set_config(&source->base, strbuf_take(&config), length, platform, err) < 0)
                return error_prefix(err, "configuration %s", manifest.config.digest);
        return set_layers(source, &manifest, err);
}

static int open_directory(struct stored_source *source, const struct location *location,
                          const struct source_options *options, struct error *err)
{
        source->archive = archive_open_directory(location->path, err);
        if (!source->archive && err->code == ENOTDIR)
                error_append(err, "; an archive is named as oci-archive:FILE");
        return source->archive ? open_layout(source, location, &options->platform, err) : -1;
}

struct source *source_open_oci(const char *uri, const struct source_options *options,
                               struct report *report, struct error *err)
{
        return stored_open("oci:", uri, options, report, open_directory, err);
}

static int open_archive(struct stored_source *source, const struct location *location,
                        const struct source_options *options, struct error *err)
{
        auto_close int fd = location_open(location, err);

        if (fd < 0)
                return -1;
        source->archive = archive_open_tar(fd, options->temp_path, source->report, err);
        return source->archive ? open_layout(source, location, &options->platform, err) : -1;
}

struct source *source_open_oci_archive(const char *uri, const struct source_options *options,
                                       struct report *report, struct error *err)
{
        return stored_open("oci-archive:", uri, options, report, open_archive, err);
}
