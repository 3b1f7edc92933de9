/* config.json → struct oci_spec: the root of the document, and how its members are read. */
#include "oci/spec.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "util/path.h"

/* ---- members ---- */

int spec_object(const struct json_node *object, const char *key, const struct json_node **ret,
                struct error *err)
{
        return json_node_member(object, key, JSON_NODE_OBJECT, ret, err);
}

int spec_array(const struct json_node *object, const char *key, const struct json_node **ret,
               struct error *err)
{
        if (json_node_member(object, key, JSON_NODE_ARRAY, ret, err) < 0)
                return -1;
        if (json_node_count(*ret) > OCI_LIST_LIMIT)
                return error_set(err, E2BIG, "\"%s\" has more than %u items", key, OCI_LIST_LIMIT);
        return 0;
}

int spec_text(const struct json_node *object, const char *key, char **ret, struct error *err)
{
        const char *text = NULL;

        if (json_node_text(object, key, &text, err) < 0)
                return -1;
        free(*ret);
        *ret = text ? strdup(text) : NULL;
        return text && !*ret ? error_no_memory(err) : 0;
}

int spec_label(const struct json_node *object, const char *key, char **ret, struct error *err)
{
        if (spec_text(object, key, ret, err) < 0)
                return -1;
        if (*ret && !**ret)
                free(TAKE_PTR(*ret));
        return 0;
}

int spec_bool(const struct json_node *object, const char *key, bool *ret, struct error *err)
{
        const struct json_node *node = json_node_any(object, key);

        if (node && !json_node_bool(node, ret))
                return error_set(err, EBADMSG, "\"%s\" is neither true nor false", key);
        return 0;
}

int spec_strings(const struct json_node *object, const char *key, struct strlist *ret,
                 struct error *err)
{
        const struct json_node *array;

        if (spec_array(object, key, &array, err) < 0)
                return -1;
        for (size_t i = 0; i < json_node_count(array); i++) {
                const char *text = json_node_string(json_node_at(array, i));

                if (!text)
                        return error_set(err, EBADMSG, "an item of \"%s\" is not a string", key);
                if (strlist_append(ret, text) < 0)
                        return error_no_memory(err);
        }
        return 0;
}

int spec_pairs(const struct json_node *object, const char *key, struct strlist *ret,
               struct error *err)
{
        auto_strlist struct strlist names = STRLIST_INIT;
        const struct json_node *members;

        if (spec_object(object, key, &members, err) < 0 || json_node_keys(members, &names, err) < 0)
                return -1;
        for (size_t i = 0; i < names.count; i++) {
                const char *value = NULL;

                if (json_node_text(members, names.items[i], &value, err) < 0)
                        return error_prefix(err, "%s", key);
                if (strlist_append(ret, names.items[i]) < 0 ||
                    strlist_append(ret, value ? value : "") < 0)
                        return error_no_memory(err);
        }
        return 0;
}

/* The number of a member: 1, 0 when it is missing, -1 with *err for anything but an integer. */
static int read_number(const struct json_node *object, const char *key, double *ret,
                       struct error *err)
{
        const struct json_node *node = json_node_any(object, key);

        if (!node)
                return 0;
        if (!json_node_number(node, ret) || *ret < (double)INT64_MIN || *ret > 0x1p64 ||
            (*ret < 0x1p63 && *ret != (double)(int64_t)*ret))
                return error_set(err, EBADMSG, "\"%s\" is not an integer", key);
        return 1;
}

int spec_unsigned(const struct json_node *object, const char *key, uint64_t max, uint64_t *ret,
                  struct error *err)
{
        double number;
        uint64_t value;
        int found = read_number(object, key, &number, err);

        if (found <= 0)
                return found;
        value = number >= 0x1p64 ? UINT64_MAX : number > 0 ? (uint64_t)number : 0;
        if (number < 0 || value > max)
                return error_set(err, EINVAL, "\"%s\" is not between 0 and %" PRIu64, key, max);
        *ret = value;
        return 1;
}

int spec_signed(const struct json_node *object, const char *key, int64_t min, int64_t max,
                int64_t *ret, struct error *err)
{
        double number;
        int found = read_number(object, key, &number, err);

        if (found <= 0)
                return found;
        if (number < (double)min || number > (double)max || number >= 0x1p63)
                return error_set(err, EINVAL, "\"%s\" is not between %" PRId64 " and %" PRId64, key,
                                 min, max);
        *ret = (int64_t)number;
        return 1;
}

/* ---- the document ---- */

void oci_process_release(struct oci_process *process)
{
        free(process->groups);
        free(process->cwd);
        strlist_release(&process->ignored);
        free(process->apparmor_profile);
        free(process->selinux_label);
        strlist_release(&process->args);
        strlist_release(&process->env);
        *process = (struct oci_process){ .terminal = false };
}

static void release_hooks(struct oci_hooks *hooks)
{
        for (size_t i = 0; i < hooks->count; i++) {
                free(hooks->items[i].path);
                strlist_release(&hooks->items[i].args);
                strlist_release(&hooks->items[i].env);
        }
        free(hooks->items);
}

void oci_spec_release(struct oci_spec *spec)
{
        struct strlist *lists[] = { &spec->annotations, &spec->masked, &spec->unwritable,
                                    &spec->sysctl, &spec->ignored };
        char *texts[] = { spec->version, spec->rootfs,       spec->hostname,   spec->domainname,
                          spec->cgroup,  spec->time_offsets, spec->mount_label };

        for (size_t i = 0; i < ARRAY_SIZE(lists); i++)
                strlist_release(lists[i]);
        for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
                free(texts[i]);
        for (size_t i = 0; i < OCI_NS_COUNT; i++)
                free(spec->namespaces[i]);
        for (size_t i = 0; i < OCI_HOOK_KINDS; i++)
                release_hooks(&spec->hooks[i]);
        for (size_t i = 0; i < spec->device_count; i++)
                free(spec->devices[i].path);
        free(spec->devices);
        free(spec->mount_maps);
        oci_process_release(&spec->process);
        oci_resources_release(&spec->resources);
        mount_plan_release(&spec->mounts);
        if (spec->document)
                json_node_free(spec->document);
        *spec = (struct oci_spec){ .document = NULL };
}

/* Semantic versioning: what 1.x has, a reader of 1.0 may pass over. */
static int parse_version(const struct json_node *root, struct oci_spec *ret, struct error *err)
{
        if (spec_text(root, "ociVersion", &ret->version, err) < 0)
                return -1;
        if (!ret->version)
                return error_set(err, EINVAL, "\"ociVersion\" is missing");
        if (strncmp(ret->version, "1.", 2) != 0)
                return error_set(err, EINVAL, "\"ociVersion\" %.50s is not supported (1.x is)",
                                 ret->version);
        return 0;
}

static int parse_root(const struct json_node *root, const char *bundle, struct oci_spec *ret,
                      struct error *err)
{
        auto_free char *path = NULL;
        const struct json_node *object;

        if (spec_object(root, "root", &object, err) < 0)
                return -1;
        if (spec_text(object, "path", &path, err) < 0 ||
            spec_bool(object, "readonly", &ret->read_only, err) < 0)
                return error_prefix(err, "root");
        if (!path || !*path)
                return error_set(err, EINVAL, "\"root\": \"path\" is missing");
        ret->rootfs = *path == '/' ? TAKE_PTR(path) : path_join(bundle, path);
        return ret->rootfs ? 0 : error_no_memory(err);
}

static int parse_members(const struct json_node *root, const char *bundle, struct oci_spec *ret,
                         struct error *err)
{
        const struct json_node *process;

        if (parse_version(root, ret, err) < 0 || parse_root(root, bundle, ret, err) < 0 ||
            spec_object(root, "process", &process, err) < 0)
                return -1;
        ret->has_process = process != NULL;
        if (process && spec_parse_process(process, &ret->process, err) < 0)
                return error_prefix(err, "process");
        if (spec_text(root, "hostname", &ret->hostname, err) < 0 ||
            spec_text(root, "domainname", &ret->domainname, err) < 0 ||
            spec_pairs(root, "annotations", &ret->annotations, err) < 0)
                return -1;
        if (spec_parse_linux(root, ret, err) < 0)
                return error_prefix(err, "linux");
        if (spec_parse_mounts(root, bundle, ret, err) < 0)
                return error_prefix(err, "mounts");
        return spec_parse_hooks(root, ret, err) < 0 ? error_prefix(err, "hooks") : 0;
}

int oci_spec_parse(const char *text, size_t length, const char *bundle, struct oci_spec *ret,
                   struct error *err)
{
        auto_oci_spec struct oci_spec spec = { .document = NULL };

        spec.document = json_node_parse_wide(text, length, err);
        if (!spec.document || parse_members(spec.document, bundle, &spec, err) < 0)
                return -1;
        *ret = TAKE(spec, ((struct oci_spec){ .document = NULL }));
        return 0;
}

int oci_process_parse(const char *text, size_t length, struct oci_process *ret, struct error *err)
{
        auto_json_node struct json_node *root = json_node_parse_wide(text, length, err);
        auto_oci_process struct oci_process process = { .terminal = false };

        if (!root || spec_parse_process(root, &process, err) < 0)
                return -1;
        *ret = TAKE(process, ((struct oci_process){ .terminal = false }));
        return 0;
}

bool oci_id_valid(const char *id)
{
        size_t length = strlen(id);

        /* As runc; a leading dot is for what is on its way. 255: a file name. */
        return length > 0 && length <= 255 && id[0] != '.' &&
               strspn(id, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_+.-") ==
                       length;
}
