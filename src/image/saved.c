/*
 * The documents of "docker save" archives: manifest.json since Docker 1.10 (2016),
 * "repositories" and a "json" for each layer before. There is no specification but
 * moby's image/tarexport and, for the old form, image/spec/v1.md.
 */
#include "image/saved.h"

#include <errno.h>
#include <string.h>

#include "image/image.h"
#include "util/json.h"

/* Names that a message lists. */
#define NAMES_LISTED 20

int image_choice_error(const char *name, const struct strlist *names, struct error *err)
{
        if (name)
                error_set(err, ENOENT, "there is no image called %.200s", name);
        else
                error_set(err, ENOENT, "there are several images: say which one");
        for (size_t i = 0; i < names->count && i < NAMES_LISTED; i++)
                error_append(err, "%s%.200s", i > 0 ? ", " : "; there are: ", names->items[i]);
        return -1;
}

void image_saved_release(struct image_saved *saved)
{
        free(saved->name);
        free(saved->config);
        strlist_release(&saved->layers);
        *saved = (struct image_saved){ .name = NULL };
}

/* The names of an image, "NAME:TAG"; an image without any has null. */
static int names_of(const struct json_node *entry, const struct json_node **ret, struct error *err)
{
        return json_node_member(entry, "RepoTags", JSON_NODE_ARRAY, ret, err);
}

/* The name of an image that is the same as the one given, or its first for NULL; or NULL. */
static const char *find_name(const struct json_node *names, const char *name)
{
        for (size_t i = 0; i < json_node_count(names); i++) {
                const char *text = json_node_string(json_node_at(names, i));

                if (text && (!name || strcmp(text, name) == 0 || image_names_equal(text, name)))
                        return text;
        }
        return NULL;
}

/* The image to take, and the name that it was found by; NULL with *err. */
static const struct json_node *choose(const struct json_node *images, const char *name,
                                      const char **ret_name, struct error *err)
{
        auto_strlist struct strlist all = STRLIST_INIT;
        const struct json_node *found = NULL;

        for (size_t i = 0; i < json_node_count(images); i++) {
                const struct json_node *image = json_node_at(images, i), *names;
                const char *text;

                if (names_of(image, &names, err) < 0)
                        return NULL;
                text = find_name(names, name);
                if (!found && (text || !name)) {
                        found = image;
                        *ret_name = text;
                }
                for (size_t j = 0; j < json_node_count(names); j++) {
                        text = json_node_string(json_node_at(names, j));
                        if (text && strlist_append(&all, text) < 0) {
                                error_no_memory(err);
                                return NULL;
                        }
                }
        }
        if (found && (name || json_node_count(images) == 1))
                return found;
        image_choice_error(name, &all, err);
        return NULL;
}

static int copy_layers(const struct json_node *image, struct strlist *layers, struct error *err)
{
        const struct json_node *paths;

        if (json_node_member(image, "Layers", JSON_NODE_ARRAY, &paths, err) < 0)
                return -1;
        if (json_node_count(paths) > IMAGE_LAYER_LIMIT)
                return error_set(err, EMSGSIZE, "%zu layers are more than the limit of %u",
                                 json_node_count(paths), IMAGE_LAYER_LIMIT);
        for (size_t i = 0; i < json_node_count(paths); i++) {
                const char *path = json_node_string(json_node_at(paths, i));

                if (!path || !path[0])
                        return error_set(err, EBADMSG, "layer %zu is not a path", i + 1);
                if (strlist_append(layers, path) < 0)
                        return error_no_memory(err);
        }
        return 0;
}

int image_saved_select(const char *text, size_t length, const char *name, struct image_saved *ret,
                       struct error *err)
{
        auto_json_node struct json_node *root = json_node_parse_array(text, length, err);
        auto_image_saved struct image_saved saved = { .name = NULL };
        const char *config, *found_name = NULL;
        const struct json_node *image;

        if (!root)
                return -1;
        if (json_node_count(root) == 0)
                return error_set(err, ENOENT, "the archive holds no image");
        image = choose(root, name, &found_name, err);
        if (!image || json_node_text(image, "Config", &config, err) < 0 ||
            copy_layers(image, &saved.layers, err) < 0)
                return -1;
        if (!config || !config[0])
                return error_set(err, EBADMSG, "the image has no configuration");
        saved.config = strdup(config);
        saved.name = found_name ? strdup(found_name) : NULL;
        if (!saved.config || (found_name && !saved.name))
                return error_no_memory(err);
        *ret = TAKE(saved, (struct image_saved){ .name = NULL });
        return 0;
}

/* ---- before Docker 1.10 ---- */

bool image_v1_id_valid(const char *text)
{
        size_t length = strspn(text, "0123456789abcdef");

        return length == IMAGE_V1_ID_SIZE - 1 && text[length] == '\0';
}

static int set_id(const char *text, char id[IMAGE_V1_ID_SIZE], struct error *err)
{
        if (!text || !image_v1_id_valid(text))
                return error_set(err, EBADMSG, "\"%.80s\" is not the id of a layer",
                                 text ? text : "");
        memcpy(id, text, IMAGE_V1_ID_SIZE);
        return 0;
}

/* {"NAME": {"TAG": "ID", …}, …} as two lists of equal length. */
static int list_repositories(const struct json_node *root, struct strlist *names,
                             struct strlist *ids, struct error *err)
{
        auto_strlist struct strlist repositories = STRLIST_INIT;

        if (json_node_keys(root, &repositories, err) < 0)
                return -1;
        for (size_t i = 0; i < repositories.count; i++) {
                auto_strlist struct strlist tags = STRLIST_INIT;
                const struct json_node *repository;

                if (json_node_member(root, repositories.items[i], JSON_NODE_OBJECT, &repository,
                                     err) < 0 ||
                    json_node_keys(repository, &tags, err) < 0)
                        return -1;
                for (size_t j = 0; j < tags.count; j++) {
                        auto_strbuf struct strbuf name = STRBUF_INIT;
                        const char *id;

                        if (json_node_text(repository, tags.items[j], &id, err) < 0)
                                return -1;
                        strbuf_printf(&name, "%s:%s", repositories.items[i], tags.items[j]);
                        if (strlist_append_owned(names, strbuf_take(&name)) < 0 ||
                            strlist_append(ids, id ? id : "") < 0)
                                return error_no_memory(err);
                }
        }
        return 0;
}

int image_repositories_select(const char *text, size_t length, const char *name, char **ret_name,
                              char ret_id[IMAGE_V1_ID_SIZE], struct error *err)
{
        auto_json_node struct json_node *root = json_node_parse(text, length, err);
        auto_strlist struct strlist names = STRLIST_INIT, ids = STRLIST_INIT;
        size_t found = 0;

        if (!root || list_repositories(root, &names, &ids, err) < 0)
                return -1;
        if (names.count == 0)
                return error_set(err, ENOENT, "the archive holds no image");
        while (name && found < names.count && !image_names_equal(names.items[found], name))
                found++;
        /* One image may have several names. */
        for (size_t i = 1; !name && i < ids.count; i++)
                if (strcmp(ids.items[i], ids.items[0]) != 0)
                        return image_choice_error(NULL, &names, err);
        if (found == names.count)
                return image_choice_error(name, &names, err);
        if (set_id(ids.items[found], ret_id, err) < 0)
                return -1;
        *ret_name = TAKE_PTR(names.items[found]);
        return 0;
}

int image_v1_parent(const char *text, size_t length, char ret_id[IMAGE_V1_ID_SIZE],
                    struct error *err)
{
        auto_json_node struct json_node *root = json_node_parse(text, length, err);
        const char *parent;

        if (!root || json_node_text(root, "parent", &parent, err) < 0)
                return -1;
        ret_id[0] = '\0';
        return parent && parent[0] ? set_id(parent, ret_id, err) : 0;
}
