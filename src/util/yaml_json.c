#include "util/yaml_json.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <yaml.h>

#include "util/dynlib.h"
#include "util/json_writer.h"

static struct {
        __typeof__(yaml_parser_initialize) *parser_initialize;
        __typeof__(yaml_parser_set_input_string) *parser_set_input_string;
        __typeof__(yaml_parser_load) *parser_load;
        __typeof__(yaml_parser_delete) *parser_delete;
        __typeof__(yaml_document_get_root_node) *document_get_root_node;
        __typeof__(yaml_document_get_node) *document_get_node;
        __typeof__(yaml_document_delete) *document_delete;
} lib;

static pthread_once_t load_once = PTHREAD_ONCE_INIT;
static int load_result;
static struct error load_error;

static void load_library(void)
{
#define SYMBOL(name)                                                                               \
        {                                                                                          \
                "yaml_" #name, (void **)&lib.name                                                  \
        }
        static const struct dynlib_symbol symbols[] = {
                SYMBOL(parser_initialize),
                SYMBOL(parser_set_input_string),
                SYMBOL(parser_load),
                SYMBOL(parser_delete),
                SYMBOL(document_get_root_node),
                SYMBOL(document_get_node),
                SYMBOL(document_delete),
        };
#undef SYMBOL

        load_result =
                dynlib_load("libyaml-0.so.2", "libyaml", symbols, ARRAY_SIZE(symbols), &load_error);
}

/* ---- a document, node by node ---- */

struct conversion {
        yaml_document_t *document;
        struct json_writer writer;
        size_t nodes;
};

/* The text of a scalar; NULL with *err when it holds a NUL byte. */
static const char *scalar_text(const yaml_node_t *node, struct error *err)
{
        const char *text = (const char *)node->data.scalar.value;

        if (strlen(text) == node->data.scalar.length)
                return text;
        error_set(err, EBADMSG, "YAML with a NUL byte in line %zu", node->start_mark.line + 1);
        return NULL;
}

/* The spellings of null of YAML 1.2, section 10.3.2; in quotes they are text. */
static bool is_null(const yaml_node_t *node, const char *text)
{
        static const char *const words[] = { "", "~", "null", "Null", "NULL" };

        if (node->data.scalar.style != YAML_PLAIN_SCALAR_STYLE)
                return false;
        for (size_t i = 0; i < ARRAY_SIZE(words); i++)
                if (strcmp(text, words[i]) == 0)
                        return true;
        return false;
}

static int convert(struct conversion *conversion, const char *key, int index, struct error *err);

static int convert_sequence(struct conversion *conversion, const char *key, const yaml_node_t *node,
                            struct error *err)
{
        json_write_array(&conversion->writer, key);
        for (const yaml_node_item_t *item = node->data.sequence.items.start;
             item < node->data.sequence.items.top; item++)
                if (convert(conversion, NULL, *item, err) < 0)
                        return -1;
        json_write_end(&conversion->writer);
        return 0;
}

static int convert_mapping(struct conversion *conversion, const char *key, const yaml_node_t *node,
                           struct error *err)
{
        json_write_object(&conversion->writer, key);
        for (const yaml_node_pair_t *pair = node->data.mapping.pairs.start;
             pair < node->data.mapping.pairs.top; pair++) {
                const yaml_node_t *name = lib.document_get_node(conversion->document, pair->key);
                const char *text;

                if (!name || name->type != YAML_SCALAR_NODE)
                        return error_set(err, EBADMSG,
                                         "YAML with a key that is no word in line %zu",
                                         node->start_mark.line + 1);
                text = scalar_text(name, err);
                if (!text || convert(conversion, text, pair->value, err) < 0)
                        return -1;
        }
        json_write_end(&conversion->writer);
        return 0;
}

/* An alias is the same node again: what it unfolds to is bounded by the limits. */
static int convert(struct conversion *conversion, const char *key, int index, struct error *err)
{
        const yaml_node_t *node = lib.document_get_node(conversion->document, index);
        struct json_writer *writer = &conversion->writer;
        const char *text;

        if (++conversion->nodes > YAML_NODE_LIMIT || writer->text->length > YAML_TEXT_LIMIT)
                return error_set(err, EBADMSG, "YAML with more than %u values or %u bytes",
                                 YAML_NODE_LIMIT, YAML_TEXT_LIMIT);
        if (node->type == YAML_SCALAR_NODE) {
                text = scalar_text(node, err);
                if (text)
                        json_write_text(writer, key, is_null(node, text) ? NULL : text);
                return text ? 0 : -1;
        }
        if (writer->depth >= JSON_WRITER_DEPTH)
                return error_set(err, EBADMSG, "YAML nested deeper than %u levels",
                                 JSON_WRITER_DEPTH);
        return node->type == YAML_SEQUENCE_NODE ? convert_sequence(conversion, key, node, err)
                                                : convert_mapping(conversion, key, node, err);
}

/* ---- documents of a stream ---- */

static int load_failed(const yaml_parser_t *parser, struct error *err)
{
        if (parser->error == YAML_MEMORY_ERROR)
                return error_no_memory(err);
        return error_set(err, EBADMSG, "not valid YAML (line %zu: %s)",
                         parser->problem_mark.line + 1,
                         parser->problem ? parser->problem : "unreadable");
}

static int convert_document(yaml_document_t *document, struct strbuf *json, struct error *err)
{
        struct conversion conversion = { .document = document, .writer = { .text = json } };

        if (!lib.document_get_root_node(document))
                return error_set(err, EBADMSG, "an empty YAML document");
        /* Nodes are numbered from 1, the root first. */
        if (convert(&conversion, NULL, 1, err) < 0)
                return -1;
        return json->failed ? error_no_memory(err) : 0;
}

/* Nothing but the end may follow the first document. */
static int check_end(yaml_parser_t *parser, struct error *err)
{
        yaml_document_t document;
        bool more;

        if (!lib.parser_load(parser, &document))
                return load_failed(parser, err);
        more = lib.document_get_root_node(&document) != NULL;
        lib.document_delete(&document);
        return more ? error_set(err, EBADMSG, "more than one YAML document") : 0;
}

int yaml_to_json(const char *text, size_t length, struct strbuf *json, struct error *err)
{
        yaml_parser_t parser;
        yaml_document_t document;
        int result;

        (void)pthread_once(&load_once, load_library);
        if (load_result < 0)
                return error_set(err, load_error.code, "%s", load_error.message);
        if (!lib.parser_initialize(&parser))
                return error_no_memory(err);
        lib.parser_set_input_string(&parser, (const unsigned char *)text, length);
        if (!lib.parser_load(&parser, &document)) {
                result = load_failed(&parser, err);
        } else {
                result = convert_document(&document, json, err);
                lib.document_delete(&document);
                if (result == 0)
                        result = check_end(&parser, err);
        }
        lib.parser_delete(&parser);
        return result;
}
