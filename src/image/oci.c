/*
 * Documents of an OCI image that an export writes: configuration (config.md), manifest
 * (manifest.md) and the index of a layout (image-layout.md of the image specification).
 */
#include <errno.h>
#include <string.h>
#include <time.h>

#include "image/image.h"
#include "util/json.h"
#include "util/json_writer.h"

#define OCI_INDEX      "application/vnd.oci.image.index.v1+json"
#define REF_NAME       "org.opencontainers.image.ref.name"
#define INDEX_LIMIT    100000u /* images that a layout may hold */
#define EXPORT_COMMENT "enroot export"

static void write_descriptor(struct json_writer *writer, const char *key,
                             const struct image_descriptor *descriptor)
{
        json_write_object(writer, key);
        json_write_text(writer, "mediaType", descriptor->media_type);
        json_write_text(writer, "digest", descriptor->digest);
        json_write_number(writer, "size", (int64_t)descriptor->size);
        json_write_end(writer);
}

/* ---- configuration ---- */

/* Copy members of a kind that there are. */
static int copy_members(struct json_writer *writer, const struct json_node *document,
                        const char *const *keys, size_t count, enum json_node_kind kind,
                        struct error *err)
{
        for (size_t i = 0; i < count; i++) {
                const struct json_node *value;
                auto_free char *text = NULL;

                if (json_node_member(document, keys[i], kind, &value, err) < 0)
                        return -1;
                if (!value)
                        continue;
                text = json_node_print(value);
                if (!text)
                        return error_no_memory(err);
                json_write_raw(writer, keys[i], text);
        }
        return 0;
}

/* What the original said; its history and layers are not those of this image. */
static int copy_config(struct json_writer *writer, const char *original,
                       const struct image_config *known, struct error *err)
{
        static const char *const texts[] = { "author", "architecture", "variant", "os",
                                             "os.version" };
        static const char *const arrays[] = { "os.features" };
        static const char *const objects[] = { "config" };
        auto_json_node struct json_node *document =
                json_node_parse(original, strlen(original), err);

        if (!document ||
            copy_members(writer, document, texts, ARRAY_SIZE(texts), JSON_NODE_STRING, err) < 0 ||
            copy_members(writer, document, arrays, ARRAY_SIZE(arrays), JSON_NODE_ARRAY, err) < 0 ||
            copy_members(writer, document, objects, ARRAY_SIZE(objects), JSON_NODE_OBJECT, err) < 0)
                return -1;
        /* These the specification wants. */
        if (!json_node_has(document, "architecture"))
                json_write_text(writer, "architecture", known->architecture);
        if (!json_node_has(document, "os"))
                json_write_text(writer, "os", "linux");
        return 0;
}

static void write_list(struct json_writer *writer, const char *key, const struct strlist *list)
{
        if (list->count == 0)
                return;
        json_write_array(writer, key);
        for (size_t i = 0; i < list->count; i++)
                json_write_text(writer, NULL, list->items[i]);
        json_write_end(writer);
}

static void write_known_config(struct json_writer *writer, const struct image_config *known)
{
        json_write_text(writer, "architecture", known->architecture);
        json_write_text(writer, "os", "linux");
        json_write_object(writer, "config");
        write_list(writer, "Env", &known->env);
        write_list(writer, "Entrypoint", &known->entrypoint);
        write_list(writer, "Cmd", &known->cmd);
        json_write_end(writer);
}

/* RFC 3339, which has years of four digits. */
static void format_time(int64_t seconds, char text[32])
{
        time_t time = (time_t)(seconds < 0 ? 0 : seconds > 253402300799 ? 253402300799 : seconds);
        struct tm parts;

        (void)gmtime_r(&time, &parts);
        (void)strftime(text, 32, "%Y-%m-%dT%H:%M:%SZ", &parts);
}

int image_oci_write_config(const char *original, const struct image_config *known,
                           const char *diff_id, int64_t created, struct strbuf *text,
                           struct error *err)
{
        struct json_writer writer = { .text = text };
        char time[32];

        format_time(created, time);
        json_write_object(&writer, NULL);
        json_write_text(&writer, "created", time);
        if (!original)
                write_known_config(&writer, known);
        else if (copy_config(&writer, original, known, err) < 0)
                return -1;
        json_write_object(&writer, "rootfs");
        json_write_text(&writer, "type", "layers");
        json_write_array(&writer, "diff_ids");
        json_write_text(&writer, NULL, diff_id);
        json_write_end(&writer);
        json_write_end(&writer);
        json_write_array(&writer, "history");
        json_write_object(&writer, NULL);
        json_write_text(&writer, "created", time);
        json_write_text(&writer, "created_by", EXPORT_COMMENT);
        json_write_end(&writer);
        json_write_end(&writer);
        json_write_end(&writer);
        return text->failed ? error_no_memory(err) : 0;
}

/* ---- manifest ---- */

int image_oci_write_manifest(const struct image_descriptor *config,
                             const struct image_descriptor *layer, struct strbuf *text,
                             struct error *err)
{
        struct json_writer writer = { .text = text };

        json_write_object(&writer, NULL);
        json_write_number(&writer, "schemaVersion", 2);
        json_write_text(&writer, "mediaType", IMAGE_OCI_MANIFEST);
        write_descriptor(&writer, "config", config);
        json_write_array(&writer, "layers");
        write_descriptor(&writer, NULL, layer);
        json_write_end(&writer);
        json_write_end(&writer);
        return text->failed ? error_no_memory(err) : 0;
}

/* ---- index ---- */

/* Whether an entry of an index has the tag: 1, 0, or -1 with *err. */
static int has_tag(const struct json_node *entry, const char *tag, struct error *err)
{
        const struct json_node *annotations;
        const char *name;

        if (json_node_member(entry, "annotations", JSON_NODE_OBJECT, &annotations, err) < 0 ||
            json_node_text(annotations, REF_NAME, &name, err) < 0)
                return -1;
        return name && strcmp(name, tag) == 0;
}

/* Everything that is in the index, less what has the tag. */
static int copy_index(struct json_writer *writer, const struct json_node *index, const char *tag,
                      bool replace, struct error *err)
{
        const struct json_node *manifests;

        if (json_node_member(index, "manifests", JSON_NODE_ARRAY, &manifests, err) < 0)
                return -1;
        if (json_node_count(manifests) > INDEX_LIMIT)
                return error_set(err, EFBIG, "an index of more than %u images", INDEX_LIMIT);
        for (size_t i = 0; i < json_node_count(manifests); i++) {
                const struct json_node *entry = json_node_at(manifests, i);
                int tagged = has_tag(entry, tag, err);
                auto_free char *text = NULL;

                if (tagged < 0)
                        return -1;
                if (tagged && !replace)
                        return error_set(err, EEXIST,
                                         "it has an image with the tag %s (--force replaces it)",
                                         tag);
                if (tagged)
                        continue;
                text = json_node_print(entry);
                if (!text)
                        return error_no_memory(err);
                json_write_raw(writer, NULL, text);
        }
        return 0;
}

int image_oci_write_index(const char *old, size_t old_length,
                          const struct image_descriptor *manifest, const char *tag, bool replace,
                          struct strbuf *text, struct error *err)
{
        struct json_writer writer = { .text = text };
        auto_json_node struct json_node *index = NULL;

        if (old) {
                index = json_node_parse(old, old_length, err);
                if (!index)
                        return -1;
        }
        json_write_object(&writer, NULL);
        json_write_number(&writer, "schemaVersion", 2);
        json_write_text(&writer, "mediaType", OCI_INDEX);
        json_write_array(&writer, "manifests");
        if (index && copy_index(&writer, index, tag, replace, err) < 0)
                return -1;
        if (manifest) {
                json_write_object(&writer, NULL);
                json_write_text(&writer, "mediaType", manifest->media_type);
                json_write_text(&writer, "digest", manifest->digest);
                json_write_number(&writer, "size", (int64_t)manifest->size);
                json_write_object(&writer, "annotations");
                json_write_text(&writer, REF_NAME, tag);
                json_write_end(&writer);
                json_write_end(&writer);
        }
        json_write_end(&writer);
        json_write_end(&writer);
        return text->failed ? error_no_memory(err) : 0;
}
