#include "util/json.h"

#include <errno.h>
#include <jansson.h>

static const json_t *value_of(const struct json_node *node)
{
        return (const json_t *)node;
}

static const struct json_node *node_of(const json_t *value)
{
        return (const struct json_node *)value;
}

/*
 * Bound depth and number of values before jansson builds its tree. Every value but
 * the first of a container follows a comma, so counting commas and containers is
 * enough; what is not well-formed is left to the parser.
 */
static int check_shape(const char *text, size_t length, struct error *err)
{
        size_t depth = 0, values = 0;
        bool in_string = false;

        for (size_t i = 0; i < length; i++) {
                char c = text[i];

                if (in_string) {
                        if (c == '\\')
                                i++;
                        else if (c == '"')
                                in_string = false;
                        continue;
                }
                if (c == '"') {
                        in_string = true;
                } else if (c == '{' || c == '[') {
                        depth++;
                        values += 2;
                } else if ((c == '}' || c == ']') && depth > 0) {
                        depth--;
                } else if (c == ',') {
                        values++;
                }
                if (depth > JSON_DEPTH_LIMIT)
                        return error_set(err, EBADMSG, "JSON nested deeper than %u levels",
                                         JSON_DEPTH_LIMIT);
                if (values > JSON_VALUE_LIMIT)
                        return error_set(err, EBADMSG, "JSON with more than %u values",
                                         JSON_VALUE_LIMIT);
        }
        return 0;
}

static struct json_node *parse(const char *text, size_t length, json_type type, size_t flags,
                               struct error *err)
{
        json_error_t why;
        json_t *root;

        if (check_shape(text, length, err) < 0)
                return NULL;
        root = json_loadb(text, length, JSON_REJECT_DUPLICATES | flags, &why);
        if (!root) {
                if (json_error_code(&why) == json_error_out_of_memory)
                        error_no_memory(err);
                else if (json_error_code(&why) == json_error_duplicate_key)
                        error_set(err, EBADMSG, "JSON with a duplicate key in line %d", why.line);
                else
                        error_set(err, EBADMSG, "not valid JSON (line %d, column %d)", why.line,
                                  why.column);
                return NULL;
        }
        if (json_typeof(root) != type) {
                json_decref(root);
                error_set(err, EBADMSG, "not a JSON %s", type == JSON_OBJECT ? "object" : "array");
                return NULL;
        }
        return (struct json_node *)root;
}

struct json_node *json_node_parse(const char *text, size_t length, struct error *err)
{
        return parse(text, length, JSON_OBJECT, 0, err);
}

struct json_node *json_node_parse_wide(const char *text, size_t length, struct error *err)
{
        return parse(text, length, JSON_OBJECT, JSON_DECODE_INT_AS_REAL, err);
}

struct json_node *json_node_parse_array(const char *text, size_t length, struct error *err)
{
        return parse(text, length, JSON_ARRAY, 0, err);
}

void json_node_free(struct json_node *root)
{
        json_decref((json_t *)root);
}

static const json_t *member(const struct json_node *object, const char *key)
{
        const json_t *value = json_object_get(value_of(object), key);

        return json_is_null(value) ? NULL : value;
}

const struct json_node *json_node_get(const struct json_node *object, const char *key)
{
        return node_of(member(object, key));
}

bool json_node_has(const struct json_node *object, const char *key)
{
        return member(object, key) != NULL;
}

static const struct {
        json_type type;
        const char *name;
} kinds[] = {
        [JSON_NODE_OBJECT] = { JSON_OBJECT, "an object" },
        [JSON_NODE_ARRAY] = { JSON_ARRAY, "an array" },
        [JSON_NODE_STRING] = { JSON_STRING, "a string" },
};

bool json_node_is(const struct json_node *node, enum json_node_kind kind)
{
        return node && json_typeof(value_of(node)) == kinds[kind].type;
}

int json_node_member(const struct json_node *object, const char *key, enum json_node_kind kind,
                     const struct json_node **ret, struct error *err)
{
        const json_t *value = member(object, key);

        if (value && json_typeof(value) != kinds[kind].type)
                return error_set(err, EBADMSG, "\"%s\" is not %s", key, kinds[kind].name);
        *ret = node_of(value);
        return 0;
}

int json_node_text(const struct json_node *object, const char *key, const char **ret,
                   struct error *err)
{
        const struct json_node *node;

        if (json_node_member(object, key, JSON_NODE_STRING, &node, err) < 0)
                return -1;
        *ret = json_node_string(node);
        return 0;
}

bool json_node_integer(const struct json_node *object, const char *key, int64_t *ret)
{
        const json_t *value = member(object, key);

        if (!json_is_integer(value))
                return false;
        *ret = json_integer_value(value);
        return true;
}

const struct json_node *json_node_any(const struct json_node *object, const char *key)
{
        return node_of(member(object, key));
}

bool json_node_number(const struct json_node *node, double *ret)
{
        const json_t *value = value_of(node);

        if (!json_is_number(value))
                return false;
        *ret = json_number_value(value);
        return true;
}

bool json_node_bool(const struct json_node *node, bool *ret)
{
        const json_t *value = value_of(node);

        if (!json_is_boolean(value))
                return false;
        *ret = json_is_true(value);
        return true;
}

const char *json_node_string(const struct json_node *node)
{
        return json_string_value(value_of(node));
}

size_t json_node_count(const struct json_node *array)
{
        return json_array_size(value_of(array));
}

const struct json_node *json_node_at(const struct json_node *array, size_t index)
{
        return node_of(json_array_get(value_of(array), index));
}

char *json_node_print(const struct json_node *node)
{
        return json_dumps(value_of(node), JSON_COMPACT | JSON_ENCODE_ANY);
}

int json_node_keys(const struct json_node *object, struct strlist *keys, struct error *err)
{
        /* The iterator takes a non-const object, which it does not change. */
        json_t *value = (json_t *)value_of(object);

        for (void *i = json_object_iter(value); i; i = json_object_iter_next(value, i))
                if (strlist_append(keys, json_object_iter_key(i)) < 0)
                        return error_no_memory(err);
        strlist_sort(keys);
        return 0;
}
