/*
 * Signatures as cosign keeps them in a registry: the payload in the "simple signing"
 * format of containers-signature(5), its signature in an annotation.
 */
#include <errno.h>
#include <string.h>

#include "policy/policy.h"
#include "policy/public_key.h"
#include "util/base64.h"
#include "util/json.h"
#include "util/strbuf.h"

#define LAYER_TYPE   "application/vnd.dev.cosign.simplesigning.v1+json"
#define ANNOTATION   "dev.cosignproject.cosign/signature"
#define PAYLOAD_TYPE "cosign container image signature"

void policy_signatures_release(struct policy_signatures *signatures)
{
        for (size_t i = 0; i < signatures->count; i++) {
                image_descriptor_release(&signatures->items[i].payload);
                free(signatures->items[i].signature);
        }
        free(signatures->items);
        *signatures = (struct policy_signatures){ .items = NULL };
}

/* Append a layer that is a signature. */
static int take_layer(const struct json_node *layer, struct policy_signatures *signatures,
                      struct error *err)
{
        struct policy_signature *item = &signatures->items[signatures->count];
        const struct json_node *annotations = NULL;
        const char *type = NULL, *digest = NULL, *signature = NULL;
        int64_t size = 0;

        if (json_node_text(layer, "mediaType", &type, err) < 0 ||
            json_node_text(layer, "digest", &digest, err) < 0 ||
            json_node_member(layer, "annotations", JSON_NODE_OBJECT, &annotations, err) < 0 ||
            json_node_text(annotations, ANNOTATION, &signature, err) < 0)
                return -1;
        if (!type || strcmp(type, LAYER_TYPE) != 0 || !signature)
                return 0;
        if (!digest || !image_digest_valid(digest) || !json_node_integer(layer, "size", &size) ||
            size < 0 || size > POLICY_PAYLOAD_LIMIT)
                return error_set(err, EBADMSG, "a signature without valid digest and size");
        memcpy(item->payload.digest, digest, IMAGE_DIGEST_SIZE);
        item->payload.size = (uint64_t)size;
        item->signature = strdup(signature);
        if (!item->signature)
                return error_no_memory(err);
        signatures->count++;
        return 0;
}

int policy_signatures_parse(const char *text, size_t length, struct policy_signatures *ret,
                            struct error *err)
{
        auto_json_node struct json_node *root = json_node_parse(text, length, err);
        auto_policy_signatures struct policy_signatures signatures = { .items = NULL };
        const struct json_node *layers = NULL;
        size_t count;

        if (!root || json_node_member(root, "layers", JSON_NODE_ARRAY, &layers, err) < 0)
                return -1;
        count = json_node_count(layers);
        if (count > POLICY_SIGNATURE_LIMIT)
                return error_set(err, E2BIG, "more than %u signatures", POLICY_SIGNATURE_LIMIT);
        signatures.items = calloc(count + 1, sizeof(*signatures.items));
        if (!signatures.items)
                return error_no_memory(err);
        for (size_t i = 0; i < count; i++)
                if (take_layer(json_node_at(layers, i), &signatures, err) < 0)
                        return -1;
        *ret = TAKE(signatures, (struct policy_signatures){ .items = NULL });
        return 0;
}

/* ---- names ---- */

/* "example.com/app:1", or a short name as Docker understands it. */
static int parse_name(const char *text, struct image_reference *ret, struct error *err)
{
        auto_strbuf struct strbuf uri = STRBUF_INIT;

        /* '#' and USER@ belong to enroot's form of a reference, and to no name. */
        if (strchr(text, '#') || strcspn(text, "@") < strcspn(text, "/"))
                return error_set(err, EBADMSG, "\"%.200s\" is not the name of an image", text);
        if (strbuf_printf(&uri, "docker://%s", text) < 0)
                return error_no_memory(err);
        return image_reference_parse(uri.data, ret, err);
}

static bool same_repository(const struct image_reference *a, const struct image_reference *b)
{
        return strcmp(a->registry, b->registry) == 0 && strcmp(a->repository, b->repository) == 0;
}

static bool same_tag(const struct image_reference *a, const struct image_reference *b)
{
        return same_repository(a, b) && !a->digest && !b->digest && strcmp(a->tag, b->tag) == 0;
}

/* The signature's name must have a tag of its own: "latest" is not signed by leaving it out. */
static bool matches(const struct image_reference *wanted, const struct image_reference *signed_name,
                    enum policy_identity identity)
{
        switch (identity) {
        case POLICY_REPOSITORY:
        case POLICY_EXACT_REPOSITORY:
                return same_repository(wanted, signed_name);
        case POLICY_REPO_DIGEST_OR_EXACT:
        case POLICY_REMAP:
                if (wanted->digest)
                        return same_repository(wanted, signed_name);
                return signed_name->tag_given && same_tag(wanted, signed_name);
        case POLICY_EXACT:
        case POLICY_EXACT_REFERENCE:
                return signed_name->tag_given && same_tag(wanted, signed_name);
        }
        return false;
}

/* The name of the image with the requirement's name instead of its prefix; *ret may be equal. */
static int remap(const struct policy_requirement *requirement, const struct image_reference *ref,
                 struct image_reference *ret, struct error *err)
{
        auto_strbuf struct strbuf name = STRBUF_INIT, text = STRBUF_INIT;
        size_t length = strlen(requirement->prefix);

        image_reference_name(ref, &name);
        if (!name.failed && strncmp(name.data, requirement->prefix, length) == 0 &&
            (name.data[length] == '\0' || name.data[length] == '/'))
                strbuf_printf(&text, "%s%s", requirement->name, name.data + length);
        else
                strbuf_append(&text, strbuf_text(&name));
        if (ref->digest)
                strbuf_printf(&text, "@%s", ref->digest);
        else
                strbuf_printf(&text, ":%s", ref->tag);
        if (name.failed || text.failed)
                return error_no_memory(err);
        return parse_name(text.data, ret, err);
}

static int check_identity(const struct policy_requirement *requirement, const char *text,
                          const struct image_reference *ref, struct error *err)
{
        auto_image_reference struct image_reference signed_name = { .user = NULL };
        auto_image_reference struct image_reference other = { .user = NULL };
        const struct image_reference *wanted = ref;
        int rc = parse_name(text, &signed_name, err);

        if (rc == 0 && requirement->identity == POLICY_REMAP)
                rc = remap(requirement, ref, &other, err);
        else if (rc == 0 && requirement->name)
                rc = parse_name(requirement->name, &other, err);
        if (rc < 0)
                return -1;
        if (requirement->name)
                wanted = &other;
        if (matches(wanted, &signed_name, requirement->identity))
                return 0;
        return error_set(err, EKEYREJECTED, "a signature is for the name %.200s%s", text,
                         same_repository(wanted, &signed_name) && !signed_name.tag_given
                                 ? ", without a tag; signedIdentity of type matchRepository "
                                   "accepts it"
                                 : "");
}

/* ---- the payload ---- */

static int check_payload(const struct policy_requirement *requirement, const char *payload,
                         size_t length, const char *manifest_digest,
                         const struct image_reference *ref, struct error *err)
{
        auto_json_node struct json_node *root = json_node_parse(payload, length, err);
        const struct json_node *critical = NULL, *image = NULL, *identity = NULL;
        const char *type = NULL, *digest = NULL, *name = NULL;

        if (!root || json_node_member(root, "critical", JSON_NODE_OBJECT, &critical, err) < 0 ||
            json_node_text(critical, "type", &type, err) < 0 ||
            json_node_member(critical, "image", JSON_NODE_OBJECT, &image, err) < 0 ||
            json_node_text(image, "docker-manifest-digest", &digest, err) < 0 ||
            json_node_member(critical, "identity", JSON_NODE_OBJECT, &identity, err) < 0 ||
            json_node_text(identity, "docker-reference", &name, err) < 0)
                return error_prefix(err, "signed payload");
        if (!type || strcmp(type, PAYLOAD_TYPE) != 0 || !digest || !name)
                return error_set(err, EBADMSG, "what is signed is no \"" PAYLOAD_TYPE "\"");
        if (strcmp(digest, manifest_digest) != 0)
                return error_set(err, EKEYREJECTED, "a signature is for the manifest %.100s",
                                 digest);
        return check_identity(requirement, name, ref, err);
}

int policy_check_signature(const struct policy_requirement *requirement, const char *signature,
                           const char *payload, size_t length, const char *manifest_digest,
                           const struct image_reference *ref, struct error *err)
{
        auto_strbuf struct strbuf raw = STRBUF_INIT;
        bool trusted = false;

        if (base64_decode(signature, &raw) < 0)
                return error_set(err, EBADMSG, "a signature that is not base64");
        /* The payload is not looked into before it is known who wrote it. */
        for (size_t i = 0; !trusted && i < requirement->keys.count; i++)
                trusted = public_key_verify(requirement->keys.items[i], payload, length,
                                            strbuf_text(&raw), raw.length, err) == 0;
        if (!trusted)
                return -1;
        return check_payload(requirement, payload, length, manifest_digest, ref, err);
}
