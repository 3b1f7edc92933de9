/*
 * One CDI specification file as a value. Members that the format does not have are
 * errors, as in the reference implementation: they are misspelt ones.
 */
#include <errno.h>
#include <string.h>

#include "gpu/cdi.h"
#include "util/strbuf.h"
#include "util/yaml_json.h"

/* What the specification says of each version; none has taken a member away. */
static const char *const versions[] = { "0.3.0", "0.4.0", "0.5.0", "0.6.0",
                                        "0.7.0", "0.8.0", "1.0.0", "1.1.0" };

static void edits_release(struct cdi_edits *edits)
{
        free(edits->nodes);
        free(edits->mounts);
        free(edits->hooks);
        free(edits->gids);
}

void cdi_spec_release(struct cdi_spec *spec)
{
        edits_release(&spec->edits);
        for (size_t i = 0; i < spec->device_count; i++)
                edits_release(&spec->devices[i].edits);
        free(spec->devices);
        free(spec->path);
        if (spec->document)
                json_node_free(spec->document);
        *spec = (struct cdi_spec){ .path = NULL };
}

/* ---- values ---- */

static int wrong(struct error *err, const char *what)
{
        return error_set(err, EBADMSG, "%s", what);
}

/* An object with no members but those of the NULL-terminated list. */
static int check_object(const struct json_node *node, const char *const *members, struct error *err)
{
        auto_strlist struct strlist keys = STRLIST_INIT;

        if (!json_node_is(node, JSON_NODE_OBJECT))
                return wrong(err, "not an object");
        if (json_node_keys(node, &keys, err) < 0)
                return -1;
        for (size_t i = 0; i < keys.count; i++) {
                const char *const *member = members;

                while (*member && strcmp(*member, keys.items[i]) != 0)
                        member++;
                if (!*member)
                        return error_set(err, EBADMSG, "unknown member \"%.60s\"", keys.items[i]);
        }
        return 0;
}

/* A text that must be there and not be empty. */
static int required_text(const struct json_node *object, const char *key, const char **ret,
                         struct error *err)
{
        if (json_node_text(object, key, ret, err) < 0)
                return -1;
        return *ret && **ret ? 0 : error_set(err, EBADMSG, "no \"%s\"", key);
}

/* A path in the container: anything else would depend on where the runtime happens to be. */
static int container_path(const struct json_node *object, const char *key, const char **ret,
                          struct error *err)
{
        if (required_text(object, key, ret, err) < 0)
                return -1;
        return **ret == '/' ? 0
                            : error_set(err, EBADMSG, "\"%s\" is not absolute: %.200s", key, *ret);
}

static int text_array(const struct json_node *object, const char *key, const struct json_node **ret,
                      struct error *err)
{
        if (json_node_member(object, key, JSON_NODE_ARRAY, ret, err) < 0)
                return -1;
        for (size_t i = 0; i < json_node_count(*ret); i++)
                if (!json_node_string(json_node_at(*ret, i)))
                        return error_set(err, EBADMSG, "\"%s\" has an item that is not a string",
                                         key);
        return 0;
}

/* NAME=VALUE, each with a name. */
static int environment(const struct json_node *object, const struct json_node **ret,
                       struct error *err)
{
        if (text_array(object, "env", ret, err) < 0)
                return -1;
        for (size_t i = 0; i < json_node_count(*ret); i++) {
                const char *word = json_node_string(json_node_at(*ret, i));

                if (*word == '=' || !strchr(word, '='))
                        return error_set(err, EBADMSG, "\"env\" has no NAME=VALUE: %.200s", word);
        }
        return 0;
}

/* A number that is not negative. In YAML it is text (util/yaml_json.h). */
static int number(const struct json_node *node, int64_t *ret, struct error *err)
{
        auto_free char *text = json_node_print(node);
        const char *digits = text;
        char *end;

        if (!text)
                return error_no_memory(err);
        digits += *digits == '"';
        errno = 0;
        *ret = strtoll(digits, &end, 10);
        if (end == digits || (*end != '\0' && *end != '"') || *ret < 0 || errno)
                return error_set(err, EBADMSG, "not a number: %.60s", text);
        return 0;
}

/* ---- edits ---- */

static int parse_node(const struct json_node *json, void *item, struct error *err)
{
        static const char *const members[] = { "path",     "hostPath",    "type", "major", "minor",
                                               "fileMode", "permissions", "uid",  "gid",   NULL };
        struct cdi_node *node = item;
        const char *type, *permissions;

        if (check_object(json, members, err) < 0 ||
            container_path(json, "path", &node->path, err) < 0 ||
            json_node_text(json, "hostPath", &node->source, err) < 0 ||
            json_node_text(json, "type", &type, err) < 0 ||
            json_node_text(json, "permissions", &permissions, err) < 0)
                return -1;
        if (type && *type && (strlen(type) != 1 || !strchr("bcup", *type)))
                return error_set(err, EBADMSG, "\"type\" is not b, c, u or p: %.60s", type);
        if (permissions && permissions[strspn(permissions, "rwm")])
                return error_set(err, EBADMSG, "\"permissions\" are not of r, w and m: %.60s",
                                 permissions);
        if (!node->source || !*node->source)
                node->source = node->path;
        return *node->source == '/' ? 0 : wrong(err, "\"hostPath\" is not absolute");
}

static int parse_mount(const struct json_node *json, void *item, struct error *err)
{
        static const char *const members[] = { "hostPath", "containerPath", "type", "options",
                                               NULL };
        struct cdi_mount *mount = item;

        if (check_object(json, members, err) < 0 ||
            required_text(json, "hostPath", &mount->source, err) < 0 ||
            container_path(json, "containerPath", &mount->target, err) < 0 ||
            json_node_text(json, "type", &mount->type, err) < 0 ||
            text_array(json, "options", &mount->options, err) < 0)
                return -1;
        if (mount->type &&
            (!*mount->type || strcmp(mount->type, "bind") == 0 || strcmp(mount->type, "none") == 0))
                mount->type = NULL;
        return mount->type || *mount->source == '/' ? 0
                                                    : wrong(err, "\"hostPath\" is not absolute");
}

static int parse_hook(const struct json_node *json, void *item, struct error *err)
{
        static const char *const members[] = { "hookName", "path", "args", "env", "timeout", NULL };
        static const char *const stages[] = { "prestart",       "createRuntime", "createContainer",
                                              "startContainer", "poststart",     "poststop" };
        struct cdi_hook *hook = item;
        size_t stage = 0;

        if (check_object(json, members, err) < 0 ||
            required_text(json, "hookName", &hook->stage, err) < 0 ||
            required_text(json, "path", &hook->path, err) < 0 ||
            text_array(json, "args", &hook->args, err) < 0 ||
            environment(json, &hook->env, err) < 0)
                return -1;
        while (stage < ARRAY_SIZE(stages) && strcmp(hook->stage, stages[stage]) != 0)
                stage++;
        if (stage == ARRAY_SIZE(stages))
                return error_set(err, EBADMSG, "unknown \"hookName\" %.60s", hook->stage);
        if (!json_node_has(json, "timeout"))
                return 0;
        return number(json_node_get(json, "timeout"), &hook->timeout, err);
}

static int parse_gid(const struct json_node *json, void *item, struct error *err)
{
        return number(json, item, err);
}

/* The items of an array of objects. *ret is what the caller frees, on failure, too. */
static int parse_array(const struct json_node *object, const char *key, size_t item_size,
                       int (*parse)(const struct json_node *json, void *item, struct error *err),
                       void **ret, size_t *ret_count, struct error *err)
{
        const struct json_node *array;
        size_t count;

        if (json_node_member(object, key, JSON_NODE_ARRAY, &array, err) < 0)
                return -1;
        count = json_node_count(array);
        if (count == 0)
                return 0;
        *ret = calloc(count, item_size);
        if (!*ret)
                return error_no_memory(err);
        *ret_count = count;
        for (size_t i = 0; i < count; i++)
                if (parse(json_node_at(array, i), (char *)*ret + i * item_size, err) < 0)
                        return error_prefix(err, "%s[%zu]", key, i);
        return 0;
}

static bool is_empty(const struct cdi_edits *edits)
{
        return json_node_count(edits->env) + edits->node_count + edits->mount_count +
                               edits->hook_count + edits->gid_count ==
                       0 &&
               !edits->net_devices && !edits->rdt;
}

/* *edits is the caller's to release, on failure, too. */
static int parse_edits(const struct json_node *object, struct cdi_edits *edits, struct error *err)
{
        static const char *const members[] = {
                "env",        "deviceNodes", "mounts",         "hooks",
                "netDevices", "intelRdt",    "additionalGids", NULL
        };
        const struct json_node *json;

        if (json_node_member(object, "containerEdits", JSON_NODE_OBJECT, &json, err) < 0)
                return -1;
        if (!json)
                return 0;
        if (check_object(json, members, err) < 0 || environment(json, &edits->env, err) < 0 ||
            parse_array(json, "deviceNodes", sizeof(*edits->nodes), parse_node,
                        (void **)&edits->nodes, &edits->node_count, err) < 0 ||
            parse_array(json, "mounts", sizeof(*edits->mounts), parse_mount,
                        (void **)&edits->mounts, &edits->mount_count, err) < 0 ||
            parse_array(json, "hooks", sizeof(*edits->hooks), parse_hook, (void **)&edits->hooks,
                        &edits->hook_count, err) < 0 ||
            parse_array(json, "additionalGids", sizeof(*edits->gids), parse_gid,
                        (void **)&edits->gids, &edits->gid_count, err) < 0)
                return error_prefix(err, "containerEdits");
        edits->net_devices = json_node_has(json, "netDevices");
        edits->rdt = json_node_has(json, "intelRdt");
        return 0;
}

/* ---- the document ---- */

static int parse_device(const struct json_node *json, void *item, struct error *err)
{
        static const char *const members[] = { "name", "annotations", "containerEdits", NULL };
        struct cdi_device *device = item;

        if (check_object(json, members, err) < 0 ||
            required_text(json, "name", &device->name, err) < 0)
                return -1;
        if (!cdi_device_valid(device->name))
                return error_set(err, EBADMSG, "not a device's name: %.60s", device->name);
        if (parse_edits(json, &device->edits, err) < 0)
                return -1;
        return is_empty(&device->edits)
                       ? error_set(err, EBADMSG, "the device %s has no edits", device->name)
                       : 0;
}

static int compare_names(const void *a, const void *b)
{
        return strcmp(((const struct cdi_device *)a)->name, ((const struct cdi_device *)b)->name);
}

static int parse_devices(struct cdi_spec *spec, struct error *err)
{
        if (parse_array(spec->document, "devices", sizeof(*spec->devices), parse_device,
                        (void **)&spec->devices, &spec->device_count, err) < 0)
                return -1;
        if (spec->device_count == 0)
                return wrong(err, "no \"devices\"");
        qsort(spec->devices, spec->device_count, sizeof(*spec->devices), compare_names);
        for (size_t i = 1; i < spec->device_count; i++)
                if (compare_names(&spec->devices[i - 1], &spec->devices[i]) == 0)
                        return error_set(err, EBADMSG, "two devices named %s",
                                         spec->devices[i].name);
        return 0;
}

static int check_version(const char *version, struct error *err)
{
        const char *number_part = version + (*version == 'v');

        for (size_t i = 0; i < ARRAY_SIZE(versions); i++)
                if (strcmp(number_part, versions[i]) == 0)
                        return 0;
        return error_set(err, EBADMSG, "\"cdiVersion\" %.60s is none of %s to %s", version,
                         versions[0], versions[ARRAY_SIZE(versions) - 1]);
}

static int parse_document(struct cdi_spec *spec, struct error *err)
{
        static const char *const members[] = { "cdiVersion", "kind",           "annotations",
                                               "devices",    "containerEdits", NULL };

        if (check_object(spec->document, members, err) < 0 ||
            required_text(spec->document, "cdiVersion", &spec->version, err) < 0 ||
            check_version(spec->version, err) < 0 ||
            required_text(spec->document, "kind", &spec->kind, err) < 0)
                return -1;
        if (!cdi_kind_valid(spec->kind, strlen(spec->kind)))
                return error_set(err, EBADMSG, "\"kind\" is not VENDOR/CLASS: %.60s", spec->kind);
        if (parse_edits(spec->document, &spec->edits, err) < 0)
                return -1;
        return parse_devices(spec, err);
}

int cdi_spec_parse(const char *text, size_t length, enum cdi_format format, struct cdi_spec *ret,
                   struct error *err)
{
        auto_cdi_spec struct cdi_spec spec = { .path = NULL };
        auto_strbuf struct strbuf json = STRBUF_INIT;

        if (format == CDI_YAML) {
                if (yaml_to_json(text, length, &json, err) < 0)
                        return -1;
                text = json.data;
                length = json.length;
        }
        spec.document = json_node_parse(text, length, err);
        if (!spec.document || parse_document(&spec, err) < 0)
                return -1;
        *ret = TAKE(spec, (struct cdi_spec){ .path = NULL });
        return 0;
}
