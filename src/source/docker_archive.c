/*
 * docker-archive: — what "docker save", "podman save" and others write: manifest.json
 * names the configuration and the layers of each image, and the configuration has
 * the digests of the uncompressed layers. Before Docker 1.10 (2016) there was a
 * directory for each layer, with its parent's name in "json", and no digests.
 */
#include <errno.h>
#include <string.h>

#include "source/stored.h"

#define MANIFEST "manifest.json"

/* ---- since Docker 1.10 ---- */

/*
 * Set configuration and digest. path is "HEX.json", "blobs/sha256/HEX", or whatever its
 * writer fancied; what looks like a digest must be one.
 */
static int read_config(struct stored_source *source, const char *path,
                       const struct image_platform *platform, struct error *err)
{
        struct image_record *record = &source->base.record;
        const char *slash = strrchr(path, '/');
        const char *name = slash ? slash + 1 : path;
        auto_strbuf struct strbuf config = STRBUF_INIT;
        char hex[SHA256_HEX_SIZE];
        size_t length;

        if (archive_read(source->archive, path, IMAGE_CONFIG_LIMIT, &config, err) < 0 ||
            sha256_of(strbuf_text(&config), config.length, hex, err) < 0)
                return -1;
        (void)snprintf(record->digest, sizeof(record->digest), "sha256:%s", hex);
        if (strspn(name, "0123456789abcdef") == strlen(hex) && strncmp(name, hex, strlen(hex)) != 0)
                return error_set(err, EBADMSG, "%.200s: the content is sha256:%s", path, hex);
        length = config.length;
        return source_set_config(&source->base, strbuf_take(&config), length, platform, err);
}

static int set_layers(struct stored_source *source, struct image_saved *saved, struct error *err)
{
        const struct strlist *digests = &source->base.config.diff_ids;
        size_t count = saved->layers.count;

        if (digests->count != count)
                return error_set(err, EBADMSG,
                                 "the archive has %zu layers, and the configuration lists %zu",
                                 count, digests->count);
        if (stored_allocate(source, count, err) < 0)
                return -1;
        for (size_t i = 0; i < count; i++) {
                if (!image_digest_valid(digests->items[i]))
                        return error_set(err, EBADMSG, "\"%.80s\" is not a digest",
                                         digests->items[i]);
                memcpy(source->base.record.layers[i].digest, digests->items[i], IMAGE_DIGEST_SIZE);
                source->layers[i].member = TAKE_PTR(saved->layers.items[i]);
        }
        return 0;
}

static int open_saved(struct stored_source *source, const struct location *location,
                      const struct image_platform *platform, struct error *err)
{
        auto_strbuf struct strbuf manifest = STRBUF_INIT;
        auto_image_saved struct image_saved saved = { .name = NULL };

        if (archive_read(source->archive, MANIFEST, IMAGE_MANIFEST_LIMIT, &manifest, err) < 0)
                return -1;
        if (image_saved_select(strbuf_text(&manifest), manifest.length, location->name, &saved,
                               err) < 0)
                return error_prefix(err, MANIFEST);
        if (read_config(source, saved.config, platform, err) < 0)
                return error_prefix(err, "configuration");
        if (stored_set_provenance(source, location, saved.name, err) < 0)
                return -1;
        return set_layers(source, &saved, err);
}

/* ---- before ---- */

/* "ID/layer.tar" */
#define V1_PATH_SIZE (IMAGE_V1_ID_SIZE + sizeof("/layer.tar"))

static void v1_path(const char *id, const char *file, char path[V1_PATH_SIZE])
{
        (void)snprintf(path, V1_PATH_SIZE, "%s/%s", id, file);
}

/* The layers from the top one down to the lowest. */
static int list_v1_layers(const struct archive *archive, const char *top, struct strlist *ids,
                          struct error *err)
{
        char id[IMAGE_V1_ID_SIZE], path[V1_PATH_SIZE];

        memcpy(id, top, sizeof(id));
        while (id[0]) {
                auto_strbuf struct strbuf json = STRBUF_INIT;

                if (ids->count == IMAGE_LAYER_LIMIT)
                        return error_set(err, ELOOP, "more than %u layers", IMAGE_LAYER_LIMIT);
                if (strlist_append(ids, id) < 0)
                        return error_no_memory(err);
                v1_path(id, "json", path);
                if (archive_read(archive, path, IMAGE_CONFIG_LIMIT, &json, err) < 0)
                        return -1;
                if (image_v1_parent(strbuf_text(&json), json.length, id, err) < 0)
                        return error_prefix(err, "%s", path);
        }
        return 0;
}

/* The layer that a name stands for; an id is its own name. */
static int find_top(const struct archive *archive, const char *name, char **ret_name,
                    char id[IMAGE_V1_ID_SIZE], struct error *err)
{
        auto_strbuf struct strbuf text = STRBUF_INIT;

        if (name && image_v1_id_valid(name)) {
                memcpy(id, name, IMAGE_V1_ID_SIZE);
                return 0;
        }
        if (archive_read(archive, "repositories", IMAGE_MANIFEST_LIMIT, &text, err) == 0)
                return image_repositories_select(strbuf_text(&text), text.length, name, ret_name,
                                                 id, err);
        if (err->code != ENOENT)
                return -1;
        return error_set(err, EBADMSG, "this is not an archive of \"docker save\"%s",
                         archive_has(archive, "index.json")
                                 ? ", but an OCI image layout: name it as oci-archive:FILE"
                                 : "");
}

static int open_v1(struct stored_source *source, const struct location *location,
                   const struct image_platform *platform, struct error *err)
{
        auto_strlist struct strlist ids = STRLIST_INIT;
        auto_free char *name = NULL;
        char id[IMAGE_V1_ID_SIZE], path[V1_PATH_SIZE];

        if (find_top(source->archive, location->name, &name, id, err) < 0 ||
            list_v1_layers(source->archive, id, &ids, err) < 0 ||
            stored_set_provenance(source, location, name, err) < 0)
                return -1;
        v1_path(id, "json", path);
        if (read_config(source, path, platform, err) < 0 ||
            stored_allocate(source, ids.count, err) < 0)
                return error_prefix(err, "configuration");
        for (size_t i = 0; i < ids.count; i++) {
                v1_path(ids.items[ids.count - 1 - i], "layer.tar", path);
                source->layers[i].member = strdup(path);
                if (!source->layers[i].member)
                        return error_no_memory(err);
        }
        return 0;
}

int stored_open_docker_archive(struct stored_source *source, const struct location *location,
                               const struct image_platform *platform, struct error *err)
{
        int rc = archive_has(source->archive, MANIFEST)
                         ? open_saved(source, location, platform, err)
                         : open_v1(source, location, platform, err);

        source->plain_digests = true;
        return rc < 0 ? -1 : stored_begin(source, err);
}

static int open_file(struct stored_source *source, const struct location *location,
                     const struct source_options *options, struct error *err)
{
        auto_close int fd = location_open(location, err);

        if (fd < 0)
                return -1;
        source->archive = archive_open_tar(fd, options->temp_path, source->report, err);
        return source->archive
                       ? stored_open_docker_archive(source, location, &options->platform, err)
                       : -1;
}

struct source *source_open_docker_archive(const char *uri, const struct source_options *options,
                                          struct report *report, struct error *err)
{
        return stored_open("docker-archive:", uri, options, report, open_file, err);
}
