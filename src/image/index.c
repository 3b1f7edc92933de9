/* The choice of a manifest out of an OCI index or a Docker manifest list. */
#include "image/image.h"

#include <errno.h>
#include <string.h>

#include "image/descriptor.h"
#include "util/json.h"
#include "image/platform.h"
#include "image/saved.h"

#define ENTRY_NAME "org.opencontainers.image.ref.name"

/* How well an entry of the index fits, from worst to best. */
enum fit {
        FIT_NOT = -1,
        FIT_UNLABELLED = 0, /* no platform given: taken only when nothing else is there */
        FIT_LEVEL = 1,      /* plus platform_level(), for variants below the wanted one */
        FIT_EXACT = 1 << 20,
};

/* An annotation of an entry, or NULL. */
static const char *annotation(const struct json_node *entry, const char *key)
{
        const struct json_node *annotations;
        struct error ignored = ERROR_INIT;
        const char *value;

        if (json_node_member(entry, "annotations", JSON_NODE_OBJECT, &annotations, &ignored) < 0 ||
            json_node_text(annotations, key, &value, &ignored) < 0)
                return NULL;
        return value;
}

/* BuildKit keeps attestations in the index, as manifests that are no images. */
static bool is_attestation(const struct json_node *entry)
{
        const char *type = annotation(entry, "vnd.docker.reference.type");

        return type && strcmp(type, "attestation-manifest") == 0;
}

/* "org.opencontainers.image.ref.name" is a tag or a whole reference: image-spec, annotations.md. */
static bool entry_is_called(const struct json_node *entry, const char *name)
{
        const char *tag = annotation(entry, ENTRY_NAME);
        const char *reference = annotation(entry, "io.containerd.image.name");

        return (tag && (strcmp(tag, name) == 0 || image_names_equal(tag, name))) ||
               (reference && image_names_equal(reference, name));
}

/*
 * The platform of an entry. Returns 1, 0 when it has none that could be run here,
 * or -1 with *err when the entry is malformed. *ret_named is false when the entry
 * says nothing about its platform.
 */
static int entry_platform(const struct json_node *entry, struct image_platform *ret,
                          bool *ret_named, struct error *err)
{
        const struct json_node *platform;
        const char *architecture, *variant, *os;

        if (is_attestation(entry))
                return 0;
        if (json_node_member(entry, "platform", JSON_NODE_OBJECT, &platform, err) < 0 ||
            json_node_text(platform, "architecture", &architecture, err) < 0 ||
            json_node_text(platform, "variant", &variant, err) < 0 ||
            json_node_text(platform, "os", &os, err) < 0)
                return -1;

        *ret_named = architecture && architecture[0];
        if (os && os[0] && strcmp(os, "linux") != 0)
                return 0;
        if (!*ret_named)
                return 1;
        return strcmp(architecture, "unknown") != 0 &&
               platform_normalize(architecture, variant ? variant : "", ret);
}

static int fit_of(const struct image_platform *offered, const struct image_platform *wanted)
{
        int level;

        if (strcmp(offered->architecture, wanted->architecture) != 0)
                return FIT_NOT;
        if (strcmp(offered->variant, wanted->variant) == 0)
                return FIT_EXACT;
        level = platform_level(offered);
        return level >= 0 && level <= platform_level(wanted) ? FIT_LEVEL + level : FIT_NOT;
}

static int no_platform(const struct image_platform *wanted, const struct strbuf *offered,
                       struct error *err)
{
        char text[PLATFORM_TEXT_SIZE];

        return error_set(err, ENOENT, "the image is not there for %s, only for: %s",
                         platform_text(wanted, text),
                         offered->length > 0 ? offered->data : "no platform of Linux");
}

/*
 * The best entry, the first of equals; NULL with *err when none fits.
 *
 * name  leave out entries that are not called so (NULL: none)
 */
static const struct json_node *best_entry(const struct json_node *entries, const char *name,
                                          const struct image_platform *wanted, struct error *err)
{
        auto_strbuf struct strbuf offered = STRBUF_INIT;
        const struct json_node *best = NULL;
        size_t unlabelled = 0;
        int best_fit = FIT_NOT;

        for (size_t i = 0; i < json_node_count(entries); i++) {
                const struct json_node *entry = json_node_at(entries, i);
                struct image_platform platform;
                char text[PLATFORM_TEXT_SIZE];
                bool named = true;
                int usable = entry_platform(entry, &platform, &named, err), fit;

                if (usable < 0) {
                        error_prefix(err, "entry %zu of the index", i + 1);
                        return NULL;
                }
                if (!usable || (name && !entry_is_called(entry, name)))
                        continue;
                if (named) {
                        fit = fit_of(&platform, wanted);
                        strbuf_printf(&offered, "%s%s", offered.length > 0 ? ", " : "",
                                      platform_text(&platform, text));
                } else {
                        fit = FIT_UNLABELLED;
                        unlabelled++;
                }
                if (fit > best_fit) {
                        best_fit = fit;
                        best = entry;
                }
        }

        /* One image without a platform is that image; several leave nothing to choose by. */
        if (best_fit > FIT_UNLABELLED || (best && unlabelled == 1 && offered.length == 0))
                return best;
        no_platform(wanted, &offered, err);
        return NULL;
}

static int parse_entry(const struct json_node *entry, struct image_descriptor *ret,
                       struct error *err)
{
        auto_image_descriptor struct image_descriptor descriptor = { .media_type = NULL };

        if (descriptor_parse(entry, IMAGE_MANIFEST_LIMIT, &descriptor, err) < 0)
                return error_prefix(err, "entry of the index");
        *ret = TAKE(descriptor, (struct image_descriptor){ .media_type = NULL });
        return 0;
}

int image_index_select(const char *text, size_t length, const struct image_platform *platform,
                       struct image_descriptor *ret, struct error *err)
{
        auto_json_node struct json_node *root = json_node_parse(text, length, err);
        const struct json_node *entries, *entry;

        if (!root || json_node_member(root, "manifests", JSON_NODE_ARRAY, &entries, err) < 0)
                return -1;
        entry = best_entry(entries, NULL, platform, err);
        return entry ? parse_entry(entry, ret, err) : -1;
}

/* The different names of entries, in order. */
static int collect_names(const struct json_node *entries, struct strlist *names, struct error *err)
{
        for (size_t i = 0; i < json_node_count(entries); i++) {
                const char *name = annotation(json_node_at(entries, i), ENTRY_NAME);

                if (name && !strlist_contains(names, name) && strlist_append(names, name) < 0)
                        return error_no_memory(err);
        }
        return 0;
}

int image_layout_select(const char *text, size_t length, const char *name,
                        const struct image_platform *platform, struct image_descriptor *ret,
                        char **ret_name, struct error *err)
{
        auto_json_node struct json_node *root = json_node_parse(text, length, err);
        auto_strlist struct strlist names = STRLIST_INIT;
        const struct json_node *entries, *entry;
        bool found = !name;

        if (!root || json_node_member(root, "manifests", JSON_NODE_ARRAY, &entries, err) < 0 ||
            collect_names(entries, &names, err) < 0)
                return -1;
        for (size_t i = 0; !found && i < json_node_count(entries); i++)
                found = entry_is_called(json_node_at(entries, i), name);
        if (!found || (!name && names.count > 1))
                return image_choice_error(name, &names, err);
        entry = best_entry(entries, name, platform, err);
        if (!entry)
                return -1;
        name = annotation(entry, ENTRY_NAME);
        *ret_name = name ? strdup(name) : NULL;
        if (name && !*ret_name)
                return error_no_memory(err);
        return parse_entry(entry, ret, err);
}
