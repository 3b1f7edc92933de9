/* mounts and hooks of config.json. */
#include <errno.h>
#include <limits.h>
#include <string.h>

#include "oci/spec.h"
#include "util/path.h"

/* ---- mounts ---- */

/* What the options say besides those of a plan. */
struct kind {
        bool bind;   /* so does the type */
        bool mapped; /* files have other owners in it */
        bool mapped_below;
};

static bool take_map_option(const char *option, struct kind *kind)
{
        bool below = strcmp(option, "ridmap") == 0;

        if (!below && strcmp(option, "idmap") != 0)
                return false;
        kind->mapped = true;
        kind->mapped_below = below;
        return true;
}

/* The options as a plan takes them. */
static int join_options(const struct json_node *object, struct kind *kind, struct strbuf *text,
                        struct error *err)
{
        auto_strlist struct strlist options = STRLIST_INIT;
        bool says_bind = false;

        if (spec_strings(object, "options", &options, err) < 0)
                return -1;
        for (size_t i = 0; i < options.count; i++) {
                const char *option = options.items[i];

                if (strchr(option, ',') || !*option)
                        return error_set(err, EINVAL, "option \"%.100s\"", option);
                if (take_map_option(option, kind))
                        continue;
                says_bind |= strcmp(option, "bind") == 0 || strcmp(option, "rbind") == 0;
                (void)strbuf_append_fstab(text, option);
                (void)strbuf_append_char(text, ',');
        }
        kind->bind |= says_bind;
        if (kind->bind && !says_bind)
                (void)strbuf_append(text, "bind,");
        /* Mounts of a new file system need a directory; what a bind needs, its source says. */
        (void)strbuf_append(text, kind->bind ? "x-create=auto" : "x-create=dir");
        return text->failed ? error_no_memory(err) : 0;
}

static int add_path(const char *path, const char *bundle, struct strbuf *text, struct error *err)
{
        auto_free char *absolute = *path == '/' ? strdup(path) : path_join(bundle, path);

        if (!absolute || strbuf_append_fstab(text, absolute) < 0)
                return error_no_memory(err);
        return 0;
}

/* What errors of the plan begin with. */
static int name_origin(struct mount_entry *entry, struct error *err)
{
        free(entry->origin);
        entry->origin = strdup("config.json");
        return entry->origin ? 0 : error_no_memory(err);
}

/*
 * Maps without the option ask for it, too (config.md, "mounts"); the option without maps
 * means the container's.
 */
static int add_map(const struct json_node *object, const struct kind *kind, struct oci_spec *ret,
                   struct error *err)
{
        struct oci_mount_map map = {
                .entry = ret->mounts.count - 1,
                .recursive = kind->mapped_below,
        };
        struct oci_mount_map *more;

        if (spec_parse_map(object, "uidMappings", &map.uids, err) < 0 ||
            spec_parse_map(object, "gidMappings", &map.gids, err) < 0)
                return -1;
        if ((map.uids.count == 0) != (map.gids.count == 0))
                return error_set(err, EINVAL, "uidMappings and gidMappings need each other");
        if (!kind->mapped && map.uids.count == 0)
                return 0;
        if (!kind->bind)
                return error_set(err, EINVAL, "\"idmap\" is for binds only");
        more = reallocarray(ret->mount_maps, ret->mount_map_count + 1, sizeof(*more));
        if (!more)
                return error_no_memory(err);
        ret->mount_maps = more;
        more[ret->mount_map_count++] = map;
        return 0;
}

/* SELinux: files of a file system in memory have the label that it is mounted with. */
static int add_label(const char *label, struct mount_entry *entry, struct error *err)
{
        static const char *const types[] = { "tmpfs", "devpts", "mqueue" };
        char *data;

        for (size_t i = 0; label && entry->type && i < ARRAY_SIZE(types); i++) {
                if (strcmp(entry->type, types[i]) != 0)
                        continue;
                if (asprintf(&data, "%s%scontext=\"%s\"", entry->data ? entry->data : "",
                             entry->data ? "," : "", label) < 0)
                        return error_no_memory(err);
                free(entry->data);
                entry->data = data;
        }
        return 0;
}

static int parse_mount(const struct json_node *object, const char *bundle, struct oci_spec *ret,
                       struct error *err)
{
        auto_strbuf struct strbuf source = STRBUF_INIT, target = STRBUF_INIT, options = STRBUF_INIT;
        const char *source_text = NULL, *target_text = NULL, *type = NULL;
        struct kind kind = { .bind = false };
        struct mount_entry *entry;

        if (json_node_text(object, "destination", &target_text, err) < 0 ||
            json_node_text(object, "source", &source_text, err) < 0 ||
            json_node_text(object, "type", &type, err) < 0)
                return -1;
        if (!target_text || !*target_text)
                return error_set(err, EINVAL, "\"destination\" is missing");
        kind.bind = type && strcmp(type, "bind") == 0;
        if (join_options(object, &kind, &options, err) < 0 ||
            add_path(target_text, "", &target, err) < 0)
                return error_prefix(err, "%s", target_text);
        if (kind.bind && (!source_text || !*source_text))
                return error_set(err, EINVAL, "%s: \"source\" is missing", target_text);
        if (!kind.bind && (!type || !*type))
                return error_set(err, EINVAL, "%s: \"type\" is missing", target_text);
        if (kind.bind ? add_path(source_text, bundle, &source, err) < 0
                    : strbuf_append_fstab(&source, source_text && *source_text ? source_text
                                                                               : "none") < 0)
                return error_no_memory(err);
        if (mount_plan_add_line(&ret->mounts, err, "%s %s %s %s 0 0", strbuf_text(&source),
                                strbuf_text(&target), kind.bind ? "none" : type,
                                strbuf_text(&options)) < 0)
                return error_prefix(err, "%s", target_text);
        if (add_map(object, &kind, ret, err) < 0)
                return error_prefix(err, "%s", target_text);
        entry = &ret->mounts.entries[ret->mounts.count - 1];
        return add_label(ret->mount_label, entry, err) < 0 ? -1 : name_origin(entry, err);
}

int spec_parse_mounts(const struct json_node *root, const char *bundle, struct oci_spec *ret,
                      struct error *err)
{
        const struct json_node *array;

        if (spec_array(root, "mounts", &array, err) < 0)
                return -1;
        for (size_t i = 0; i < json_node_count(array); i++)
                if (parse_mount(json_node_at(array, i), bundle, ret, err) < 0)
                        return -1;
        return 0;
}

/* ---- hooks ---- */

static const char *const hook_names[OCI_HOOK_KINDS] = {
        [OCI_PRESTART] = "prestart",
        [OCI_CREATE_RUNTIME] = "createRuntime",
        [OCI_CREATE_CONTAINER] = "createContainer",
        [OCI_START_CONTAINER] = "startContainer",
        [OCI_POSTSTART] = "poststart",
        [OCI_POSTSTOP] = "poststop",
};

static int parse_hook(const struct json_node *object, struct oci_hook *ret, struct error *err)
{
        uint64_t timeout = 0;

        if (spec_text(object, "path", &ret->path, err) < 0 ||
            spec_strings(object, "args", &ret->args, err) < 0 ||
            spec_strings(object, "env", &ret->env, err) < 0 ||
            spec_unsigned(object, "timeout", INT_MAX / 1000, &timeout, err) < 0)
                return -1;
        if (!ret->path || *ret->path != '/')
                return error_set(err, EINVAL, "\"path\" is not an absolute path");
        if (ret->args.count == 0 && strlist_append(&ret->args, ret->path) < 0)
                return error_no_memory(err);
        ret->timeout = (int)timeout;
        return 0;
}

int spec_parse_hooks(const struct json_node *root, struct oci_spec *ret, struct error *err)
{
        const struct json_node *object, *array;

        if (spec_object(root, "hooks", &object, err) < 0)
                return -1;
        for (size_t kind = 0; kind < OCI_HOOK_KINDS; kind++) {
                struct oci_hooks *hooks = &ret->hooks[kind];

                if (spec_array(object, hook_names[kind], &array, err) < 0)
                        return -1;
                hooks->items = calloc(json_node_count(array) + 1, sizeof(*hooks->items));
                if (!hooks->items)
                        return error_no_memory(err);
                for (size_t i = 0; i < json_node_count(array); i++)
                        if (parse_hook(json_node_at(array, i), &hooks->items[hooks->count++],
                                       err) < 0)
                                return error_prefix(err, "%s", hook_names[kind]);
        }
        return 0;
}
