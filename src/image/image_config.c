#include "image/image.h"

#include <errno.h>
#include <string.h>

#include "util/json.h"
#include "image/platform.h"

/* A string member as malloc'd memory; NULL when it is missing or empty. */
static int copy_text(const struct json_node *object, const char *key, char **ret, struct error *err)
{
        const char *text;

        if (json_node_text(object, key, &text, err) < 0)
                return -1;
        if (!text || !text[0])
                return 0;
        *ret = strdup(text);
        return *ret ? 0 : error_no_memory(err);
}

static int copy_strings(const struct json_node *object, const char *key, struct strlist *list,
                        struct error *err)
{
        const struct json_node *array;

        if (json_node_member(object, key, JSON_NODE_ARRAY, &array, err) < 0)
                return -1;
        for (size_t i = 0; i < json_node_count(array); i++) {
                const char *text = json_node_string(json_node_at(array, i));

                if (!text)
                        return error_set(err, EBADMSG, "item %zu of \"%s\" is not a string", i + 1,
                                         key);
                if (strlist_append(list, text) < 0)
                        return error_no_memory(err);
        }
        return 0;
}

static int copy_labels(const struct json_node *object, struct image_config *config,
                       struct error *err)
{
        auto_strlist struct strlist keys = STRLIST_INIT;
        const struct json_node *labels;

        if (json_node_member(object, "Labels", JSON_NODE_OBJECT, &labels, err) < 0 ||
            json_node_keys(labels, &keys, err) < 0)
                return -1;
        if (keys.count == 0)
                return 0;
        config->labels = calloc(keys.count, sizeof(*config->labels));
        if (!config->labels)
                return error_no_memory(err);
        for (; config->label_count < keys.count; config->label_count++) {
                struct image_label *label = &config->labels[config->label_count];
                const char *value;

                if (json_node_text(labels, keys.items[config->label_count], &value, err) < 0)
                        return error_prefix(err, "\"Labels\"");
                label->value = strdup(value ? value : "");
                if (!label->value)
                        return error_no_memory(err);
                label->key = TAKE_PTR(keys.items[config->label_count]);
        }
        return 0;
}

static int parse_runtime_part(const struct json_node *part, struct image_config *config,
                              struct error *err)
{
        const struct json_node *volumes;

        if (copy_strings(part, "Env", &config->env, err) < 0 ||
            copy_strings(part, "Entrypoint", &config->entrypoint, err) < 0 ||
            copy_strings(part, "Cmd", &config->cmd, err) < 0 ||
            copy_text(part, "WorkingDir", &config->working_dir, err) < 0 ||
            copy_text(part, "User", &config->user, err) < 0 || copy_labels(part, config, err) < 0)
                return -1;
        if (json_node_member(part, "Volumes", JSON_NODE_OBJECT, &volumes, err) < 0)
                return -1;
        return json_node_keys(volumes, &config->volumes, err);
}

int image_config_parse(const char *text, size_t length, struct image_config *ret, struct error *err)
{
        auto_json_node struct json_node *root = json_node_parse(text, length, err);
        auto_image_config struct image_config config = { .architecture = NULL };
        const struct json_node *part;

        if (!root || copy_text(root, "architecture", &config.architecture, err) < 0 ||
            copy_text(root, "variant", &config.variant, err) < 0 ||
            copy_text(root, "os", &config.os, err) < 0 ||
            json_node_member(root, "config", JSON_NODE_OBJECT, &part, err) < 0 ||
            parse_runtime_part(part, &config, err) < 0 ||
            json_node_member(root, "rootfs", JSON_NODE_OBJECT, &part, err) < 0 ||
            copy_strings(part, "diff_ids", &config.diff_ids, err) < 0)
                return error_prefix(err, "image configuration");
        *ret = TAKE(config, (struct image_config){ .architecture = NULL });
        return 0;
}

void image_config_release(struct image_config *config)
{
        free(config->architecture);
        free(config->variant);
        free(config->os);
        strlist_release(&config->env);
        strlist_release(&config->entrypoint);
        strlist_release(&config->cmd);
        strlist_release(&config->volumes);
        strlist_release(&config->diff_ids);
        free(config->working_dir);
        free(config->user);
        for (size_t i = 0; i < config->label_count; i++) {
                free(config->labels[i].key);
                free(config->labels[i].value);
        }
        free(config->labels);
        *config = (struct image_config){ .architecture = NULL };
}

/*
 * A variant is compared only where one was asked for: which variant a machine has
 * is not known from its architecture's name.
 */
static bool platform_fits(const struct image_platform *image, const struct image_platform *wanted)
{
        if (strcmp(image->architecture, wanted->architecture) != 0)
                return false;
        return !wanted->variant[0] || !image->variant[0] ||
               strcmp(image->variant, wanted->variant) == 0 ||
               platform_level(image) <= platform_level(wanted);
}

int image_config_check_platform(const struct image_config *config,
                                const struct image_platform *platform, struct error *err)
{
        const char *os = config->os ? config->os : "linux";
        const char *architecture = config->architecture;
        const char *variant = config->variant ? config->variant : "";
        char wanted[PLATFORM_TEXT_SIZE];
        struct image_platform image;

        if (strcmp(os, "linux") == 0 &&
            (!architecture || (platform_normalize(architecture, variant, &image) &&
                               platform_fits(&image, platform))))
                return 0;
        return error_set(err, ENOEXEC, "the image is for %.32s/%.32s%s%.32s, not for %s", os,
                         architecture ? architecture : "unknown", variant[0] ? "/" : "", variant,
                         platform_text(platform, wanted));
}
