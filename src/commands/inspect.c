/*
 * inspect: what is known of an image, from its configuration and from what an import
 * recorded; nothing is unpacked, and no layer is fetched.
 */
#include "commands/commands.h"

#include <inttypes.h>
#include <string.h>

#include "commands/print.h"
#include "commands/subject.h"
#include "util/json_writer.h"

static const char *const kinds[] = {
        [SUBJECT_REMOTE] = "reference",
        [SUBJECT_IMAGE] = "image",
        [SUBJECT_CONTAINER] = "container",
};

static uint64_t layers_size(const struct image_record *record)
{
        uint64_t size = 0;

        for (size_t i = 0; i < record->layer_count; i++)
                size += record->layers[i].size;
        return size;
}

/* ---- JSON ---- */

static void write_layers(struct json_writer *writer, const struct image_record *record)
{
        json_write_number(writer, "layersSize", (int64_t)layers_size(record));
        json_write_array(writer, "layers");
        for (size_t i = 0; i < record->layer_count; i++) {
                const struct image_descriptor *layer = &record->layers[i];

                json_write_object(writer, NULL);
                json_write_text(writer, "mediaType", layer->media_type);
                json_write_text(writer, "digest", layer->digest);
                json_write_number(writer, "size", (int64_t)layer->size);
                json_write_end(writer);
        }
        json_write_end(writer);
}

static void write_json(const struct subject *subject, const struct image_config *config,
                       struct strbuf *text)
{
        const struct image_record *record = subject->record;
        struct json_writer writer = { .text = text };

        json_write_object(&writer, NULL);
        json_write_text(&writer, "kind", kinds[subject->kind]);
        if (subject->path)
                json_write_text(&writer, "path", subject->path);
        if (subject->kind == SUBJECT_IMAGE)
                json_write_number(&writer, "size", (int64_t)subject->size);
        if (subject->kind == SUBJECT_CONTAINER)
                json_write_bool(&writer, "lazy", subject->place.lazy);
        if (subject->place.lazy)
                json_write_text(&writer, "image", subject->place.image);
        json_write_text(&writer, "provenance", record ? record->provenance : NULL);
        json_write_text(&writer, "digest", record && *record->digest ? record->digest : NULL);
        json_write_text(&writer, "os", config->os);
        json_write_text(&writer, "architecture", config->architecture);
        json_write_text(&writer, "variant", config->variant);
        if (record)
                write_layers(&writer, record);
        if (record && record->config)
                json_write_raw(&writer, "config", record->config);
        json_write_end(&writer);
}

/* ---- for people ---- */

/* Control characters of an image must not reach the terminal. */
static void add_safe(struct strbuf *text, const char *value)
{
        for (; *value; value++) {
                unsigned char c = (unsigned char)*value;

                strbuf_append_char(text, c < ' ' || c == 0x7f ? '?' : (char)c);
        }
}

static void add(struct strbuf *text, const char *name, const char *value)
{
        if (!value)
                return;
        strbuf_printf(text, "%-13s ", name);
        add_safe(text, value);
        strbuf_append_char(text, '\n');
}

static void add_list(struct strbuf *text, const char *name, const struct strlist *list)
{
        for (size_t i = 0; i < list->count; i++)
                add(text, i == 0 ? name : "", list->items[i]);
}

/* The words of a command as a shell takes them. */
static void add_command(struct strbuf *text, const char *name, const struct strlist *words)
{
        if (words->count == 0)
                return;
        strbuf_printf(text, "%-13s", name);
        for (size_t i = 0; i < words->count; i++) {
                strbuf_append(text, " '");
                for (const char *c = words->items[i]; *c; c++) {
                        char one[] = { *c, '\0' };

                        if (*c == '\'')
                                strbuf_append(text, "'\\''");
                        else
                                add_safe(text, one);
                }
                strbuf_append_char(text, '\'');
        }
        strbuf_append_char(text, '\n');
}

static void add_platform(struct strbuf *text, const struct image_config *config)
{
        if (!config->architecture)
                return;
        strbuf_printf(text, "%-13s ", "Platform:");
        add_safe(text, config->os ? config->os : "linux");
        strbuf_append_char(text, '/');
        add_safe(text, config->architecture);
        if (config->variant) {
                strbuf_append_char(text, '/');
                add_safe(text, config->variant);
        }
        strbuf_append_char(text, '\n');
}

static void add_layers(struct strbuf *text, const struct image_record *record)
{
        if (record->layer_count == 0)
                return;
        strbuf_printf(text, "%-13s %zu, %.1f MB\n", "Layers:", record->layer_count,
                      (double)layers_size(record) / 1e6);
        for (size_t i = 0; i < record->layer_count; i++)
                strbuf_printf(text, "%-13s %s  %.1f MB\n", "", record->layers[i].digest,
                              (double)record->layers[i].size / 1e6);
}

static void write_text(const struct subject *subject, const struct image_config *config,
                       struct strbuf *text)
{
        const struct image_record *record = subject->record;

        if (subject->kind == SUBJECT_IMAGE) {
                add(text, "Image file:", subject->path);
                strbuf_printf(text, "%-13s %.1f MB\n", "Size:", (double)subject->size / 1e6);
        }
        if (subject->kind == SUBJECT_CONTAINER)
                add(text, "Container:", subject->path);
        if (subject->place.lazy)
                add(text, "Lazy, from:", subject->place.image);
        if (!record) {
                add(text, "Provenance:", "not recorded");
                return;
        }
        add(text, "Provenance:", record->provenance);
        add(text, "Digest:", *record->digest ? record->digest : NULL);
        add_platform(text, config);
        add_layers(text, record);
        add_command(text, "Entrypoint:", &config->entrypoint);
        add_command(text, "Cmd:", &config->cmd);
        add(text, "Working dir:", config->working_dir);
        add(text, "User:", config->user);
        add_list(text, "Environment:", &config->env);
        add_list(text, "Volumes:", &config->volumes);
        for (size_t i = 0; i < config->label_count; i++) {
                strbuf_printf(text, "%-13s ", i == 0 ? "Labels:" : "");
                add_safe(text, config->labels[i].key);
                strbuf_append_char(text, '=');
                add_safe(text, config->labels[i].value);
                strbuf_append_char(text, '\n');
        }
}

int command_inspect(const struct command_context *context,
                    const struct inspect_arguments *arguments, FILE *out, struct error *err)
{
        auto_subject struct subject subject = SUBJECT_INIT;
        auto_image_config struct image_config config = { .os = NULL };
        auto_strbuf struct strbuf text = STRBUF_INIT;
        const char *document;

        if (subject_open(&subject, context, arguments->word, arguments->arch, err) < 0)
                return -1;
        document = subject.record ? subject.record->config : NULL;
        if (document && image_config_parse(document, strlen(document), &config, err) < 0)
                return error_prefix(err, "%s: configuration", arguments->word);
        (arguments->json ? write_json : write_text)(&subject, &config, &text);
        return print_result(&text, out, err);
}
