/*
 * JSON documents from untrusted senders, read only. json.c is the only user of
 * jansson.
 *
 * A document is refused when it is not what was asked for (an object, an array), when it has a key
 * twice (two readers could see two documents in it), or when it is nested deeper or holds more
 * values than the limits below: jansson needs up to 250 bytes for a value of three bytes. A null
 * counts as a missing member everywhere.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "util/error.h"
#include "util/strlist.h"

#define JSON_DEPTH_LIMIT 64u
#define JSON_VALUE_LIMIT 200000u

/* A value of a document; valid until the document's root is released. */
struct json_node;

enum json_node_kind {
        JSON_NODE_OBJECT,
        JSON_NODE_ARRAY,
        JSON_NODE_STRING,
};

/* The root object (or array) of a document, or NULL with *err (EBADMSG). */
struct json_node *json_node_parse(const char *text, size_t length, struct error *err);
struct json_node *json_node_parse_array(const char *text, size_t length, struct error *err);

/*
 * The same for documents whose integers may take 64 bits without a sign: all numbers are
 * read with json_node_number, as json_node_integer finds none.
 */
struct json_node *json_node_parse_wide(const char *text, size_t length, struct error *err);
void json_node_free(struct json_node *root);

static inline void cleanup_json_node(struct json_node **root)
{
        if (*root)
                json_node_free(*root);
}
#define auto_json_node __attribute__((cleanup(cleanup_json_node)))

/* Whether a value, which may be NULL, is of a kind. */
bool json_node_is(const struct json_node *node, enum json_node_kind kind);

/* A member of any kind but null, or NULL; and whether an object has it. */
const struct json_node *json_node_get(const struct json_node *object, const char *key);
bool json_node_has(const struct json_node *object, const char *key);

/*
 * A member of an object. *ret is NULL when the object is NULL or has no such
 * member. Returns 0, or -1 with *err (EBADMSG) when the member is of another kind.
 */
int json_node_member(const struct json_node *object, const char *key, enum json_node_kind kind,
                     const struct json_node **ret, struct error *err);
int json_node_text(const struct json_node *object, const char *key, const char **ret,
                   struct error *err);

/* The value of an integer member; false when it is missing or not an integer. */
bool json_node_integer(const struct json_node *object, const char *key, int64_t *ret);

/* A member of any kind, or NULL; and what a number or a truth value is, false for another kind. */
const struct json_node *json_node_any(const struct json_node *object, const char *key);
bool json_node_number(const struct json_node *node, double *ret);
bool json_node_bool(const struct json_node *node, bool *ret);

/* The text of a string; NULL for any other kind. */
const char *json_node_string(const struct json_node *node);

/* Items of an array; an array of NULL has none. */
size_t json_node_count(const struct json_node *array);
const struct json_node *json_node_at(const struct json_node *array, size_t index);

/* The value as a document of its own, in one line. malloc'd, or NULL without memory. */
char *json_node_print(const struct json_node *node);

/* Append the keys of an object, NULL having none, to *keys and sort them. 0, or -1 with *err. */
int json_node_keys(const struct json_node *object, struct strlist *keys, struct error *err);
