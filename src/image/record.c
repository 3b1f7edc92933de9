#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "image/descriptor.h"
#include "image/image.h"
#include "util/json.h"
#include "util/json_writer.h"

/* Of the document; a reader refuses what it does not know. */
#define RECORD_VERSION 1

void image_record_release(struct image_record *record)
{
        free(record->provenance);
        for (size_t i = 0; i < record->layer_count; i++)
                image_descriptor_release(&record->layers[i]);
        free(record->layers);
        free(record->config);
        *record = (struct image_record){ .provenance = NULL };
}

int image_record_write(const struct image_record *record, struct strbuf *text, struct error *err)
{
        struct json_writer writer = { .text = text };

        json_write_object(&writer, NULL);
        json_write_number(&writer, "version", RECORD_VERSION);
        json_write_text(&writer, "provenance", record->provenance);
        json_write_text(&writer, "digest", record->digest[0] ? record->digest : NULL);
        json_write_array(&writer, "layers");
        for (size_t i = 0; i < record->layer_count; i++) {
                json_write_object(&writer, NULL);
                json_write_text(&writer, "mediaType", record->layers[i].media_type);
                json_write_text(&writer, "digest", record->layers[i].digest);
                json_write_number(&writer, "size", (int64_t)record->layers[i].size);
                json_write_end(&writer);
        }
        json_write_end(&writer);
        if (record->config)
                json_write_raw(&writer, "config", record->config);
        json_write_end(&writer);
        return text->failed ? error_no_memory(err) : 0;
}

static int copy_text(const struct json_node *root, const char *key, char **ret, struct error *err)
{
        const char *text;

        if (json_node_text(root, key, &text, err) < 0)
                return -1;
        *ret = text ? strdup(text) : NULL;
        return text && !*ret ? error_no_memory(err) : 0;
}

static int parse_digest(const struct json_node *root, struct image_record *record,
                        struct error *err)
{
        const char *digest;

        if (json_node_text(root, "digest", &digest, err) < 0)
                return -1;
        if (!digest)
                return 0;
        if (!image_digest_valid(digest))
                return error_set(err, EBADMSG, "\"%.80s\" is not a digest", digest);
        memcpy(record->digest, digest, sizeof(record->digest));
        return 0;
}

static int parse_config(const struct json_node *root, struct image_record *record,
                        struct error *err)
{
        const struct json_node *config;

        if (json_node_member(root, "config", JSON_NODE_OBJECT, &config, err) < 0)
                return -1;
        if (!config)
                return 0;
        record->config = json_node_print(config);
        return record->config ? 0 : error_no_memory(err);
}

int image_record_parse(const char *text, size_t length, struct image_record *ret,
                       struct error *err)
{
        auto_json_node struct json_node *root = json_node_parse(text, length, err);
        auto_image_record struct image_record record = { .provenance = NULL };
        int64_t version;

        if (!root)
                return -1;
        if (!json_node_integer(root, "version", &version) || version != RECORD_VERSION)
                return error_set(err, EPROTONOSUPPORT,
                                 "the record of the import is of a version that is not known");
        if (copy_text(root, "provenance", &record.provenance, err) < 0 ||
            parse_digest(root, &record, err) < 0 ||
            descriptors_parse(root, "layers", &record.layers, &record.layer_count, err) < 0 ||
            parse_config(root, &record, err) < 0)
                return -1;
        *ret = TAKE(record, (struct image_record){ .provenance = NULL });
        return 0;
}
