#include "image/image.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "image/descriptor.h"
#include "util/json.h"

#define OCI_MANIFEST    "application/vnd.oci.image.manifest.v1+json"
#define OCI_INDEX       "application/vnd.oci.image.index.v1+json"
#define DOCKER_MANIFEST "application/vnd.docker.distribution.manifest.v2+json"
#define DOCKER_LIST     "application/vnd.docker.distribution.manifest.list.v2+json"
#define DOCKER_SCHEMA_1 "application/vnd.docker.distribution.manifest.v1" /* +json, +prettyjws */

static bool media_type_is(const char *media_type, const char *name)
{
        size_t length = strcspn(media_type, "; \t");

        return length == strlen(name) && strncasecmp(media_type, name, length) == 0;
}

bool media_type_is_index(const char *media_type)
{
        return media_type_is(media_type, OCI_INDEX) || media_type_is(media_type, DOCKER_LIST);
}

bool media_type_is_manifest(const char *media_type)
{
        return media_type_is(media_type, OCI_MANIFEST) ||
               media_type_is(media_type, DOCKER_MANIFEST);
}

static bool media_type_is_schema_1(const char *media_type)
{
        return media_type && strncasecmp(media_type, DOCKER_SCHEMA_1, strlen(DOCKER_SCHEMA_1)) == 0;
}

/* Whether a media type, where it says anything, says the same as the content. */
static bool agrees(const char *media_type, enum image_document type)
{
        if (!media_type)
                return true;
        return type == IMAGE_DOCUMENT_INDEX ? !media_type_is_manifest(media_type)
                                            : !media_type_is_index(media_type);
}

/*
 * A document with the members of both kinds could be read as one thing by whoever
 * signed or scanned it and as another by us, so it is refused (CVE-2021-41190).
 */
static int classify(const struct json_node *root, const char *media_type, enum image_document *ret,
                    struct error *err)
{
        bool index = json_node_has(root, "manifests");
        bool manifest = json_node_has(root, "layers") || json_node_has(root, "config");
        const char *own_type;
        int64_t schema;

        if (json_node_text(root, "mediaType", &own_type, err) < 0)
                return -1;
        if (!json_node_integer(root, "schemaVersion", &schema))
                return error_set(err, EBADMSG, "not an image manifest: it has no schemaVersion");
        if (schema == 1 || media_type_is_schema_1(media_type) || media_type_is_schema_1(own_type))
                return error_set(err, EPROTONOSUPPORT,
                                 "the image has a manifest of Docker's schema 1, which was given "
                                 "up in 2017: push the image again with a current tool (for "
                                 "instance \"skopeo copy --format v2s2\")");
        if (schema != 2)
                return error_set(err, EPROTONOSUPPORT, "schemaVersion %" PRId64 " is not known",
                                 schema);

        if (json_node_has(root, "fsLayers") || (index && manifest))
                return error_set(err, EBADMSG,
                                 "the document is a manifest and an index at the same time");
        if (!index && !manifest)
                return error_set(err, EBADMSG, "the document is neither a manifest nor an index");

        *ret = index ? IMAGE_DOCUMENT_INDEX : IMAGE_DOCUMENT_MANIFEST;
        if (!agrees(own_type, *ret) || !agrees(media_type, *ret))
                return error_set(err, EBADMSG,
                                 "the content is that of %s, but its media type says otherwise",
                                 index ? "an index" : "a manifest");
        return 0;
}

int image_document_type(const char *text, size_t length, const char *media_type,
                        enum image_document *ret, struct error *err)
{
        auto_json_node struct json_node *root = json_node_parse(text, length, err);

        return root ? classify(root, media_type, ret, err) : -1;
}

int descriptor_parse(const struct json_node *node, uint64_t limit, struct image_descriptor *ret,
                     struct error *err)
{
        const char *digest, *media_type;
        int64_t size;

        if (json_node_text(node, "digest", &digest, err) < 0 ||
            json_node_text(node, "mediaType", &media_type, err) < 0)
                return -1;
        if (!digest || !image_digest_valid(digest))
                return error_set(err, EBADMSG,
                                 "digest \"%.80s\" is not sha256: and 64 lower-case hex digits",
                                 digest ? digest : "");
        if (!json_node_integer(node, "size", &size) || size < 0)
                return error_set(err, EBADMSG, "size is not a whole number of bytes");
        if ((uint64_t)size > limit)
                return error_set(err, EMSGSIZE,
                                 "size of %" PRId64 " bytes is above the limit of %" PRIu64, size,
                                 limit);

        ret->media_type = media_type ? strdup(media_type) : NULL;
        if (media_type && !ret->media_type)
                return error_no_memory(err);
        memcpy(ret->digest, digest, sizeof(ret->digest));
        ret->size = (uint64_t)size;
        return 0;
}

/* Docker 1.10 pushed "application/octet-stream"; charts and other artifacts have own types. */
static int check_config_type(const char *media_type, struct error *err)
{
        static const char *const accepted[] = {
                "application/vnd.oci.image.config.v1+json",
                "application/vnd.docker.container.image.v1+json",
                "application/octet-stream",
                "application/json",
        };

        if (!media_type)
                return 0;
        for (size_t i = 0; i < ARRAY_SIZE(accepted); i++)
                if (media_type_is(media_type, accepted[i]))
                        return 0;
        return error_set(err, EPROTONOSUPPORT,
                         "not a container image: its configuration is of type %.100s", media_type);
}

static int parse_config_descriptor(const struct json_node *root, struct image_manifest *manifest,
                                   struct error *err)
{
        const struct json_node *config;

        if (json_node_member(root, "config", JSON_NODE_OBJECT, &config, err) < 0)
                return -1;
        if (!config)
                return error_set(err, EBADMSG, "the manifest has no \"config\"");
        if (descriptor_parse(config, IMAGE_CONFIG_LIMIT, &manifest->config, err) < 0)
                return error_prefix(err, "config");
        return check_config_type(manifest->config.media_type, err);
}

int descriptors_parse(const struct json_node *root, const char *key,
                      struct image_descriptor **ret, size_t *ret_count, struct error *err)
{
        const struct json_node *array;
        size_t count;

        if (json_node_member(root, key, JSON_NODE_ARRAY, &array, err) < 0)
                return -1;
        if (!array)
                return error_set(err, EBADMSG, "there is no \"%s\"", key);
        count = json_node_count(array);
        if (count > IMAGE_LAYER_LIMIT)
                return error_set(err, EMSGSIZE, "%zu layers are more than the limit of %u", count,
                                 IMAGE_LAYER_LIMIT);
        if (count == 0)
                return 0;

        *ret = calloc(count, sizeof(**ret));
        if (!*ret)
                return error_no_memory(err);
        for (; *ret_count < count; (*ret_count)++) {
                size_t i = *ret_count;

                if (descriptor_parse(json_node_at(array, i), IMAGE_BLOB_LIMIT, &(*ret)[i], err) <
                    0)
                        return error_prefix(err, "layer %zu", i + 1);
        }
        return 0;
}

int image_manifest_parse(const char *text, size_t length, struct image_manifest *ret,
                         struct error *err)
{
        auto_json_node struct json_node *root = json_node_parse(text, length, err);
        auto_image_manifest struct image_manifest manifest = { .layers = NULL };
        enum image_document type;

        if (!root || classify(root, NULL, &type, err) < 0)
                return -1;
        if (type != IMAGE_DOCUMENT_MANIFEST)
                return error_set(err, EBADMSG, "the document is an index, not a manifest");
        if (parse_config_descriptor(root, &manifest, err) < 0 ||
            descriptors_parse(root, "layers", &manifest.layers, &manifest.layer_count, err) < 0)
                return -1;
        *ret = TAKE(manifest, (struct image_manifest){ .layers = NULL });
        return 0;
}

void image_descriptor_release(struct image_descriptor *descriptor)
{
        free(descriptor->media_type);
        *descriptor = (struct image_descriptor){ .media_type = NULL };
}

void image_manifest_release(struct image_manifest *manifest)
{
        image_descriptor_release(&manifest->config);
        for (size_t i = 0; i < manifest->layer_count; i++)
                image_descriptor_release(&manifest->layers[i]);
        free(manifest->layers);
        *manifest = (struct image_manifest){ .layers = NULL };
}
