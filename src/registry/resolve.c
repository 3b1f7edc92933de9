#include <errno.h>
#include <string.h>

#include "registry/document.h"
#include "registry/session.h"

/*
 * All at once: the registry sends what it has. Asking for each in turn, or for
 * indexes only, makes some registries convert to schema 1.
 */
#define ACCEPT                                                                                     \
        "application/vnd.oci.image.index.v1+json, "                                                \
        "application/vnd.docker.distribution.manifest.list.v2+json, "                              \
        "application/vnd.oci.image.manifest.v1+json, "                                             \
        "application/vnd.docker.distribution.manifest.v2+json"

/* What the response says that it is; NULL for a type that any document may have. */
static const char *specific_media_type(const struct document *document)
{
        const char *type = document->media_type;

        return type && strncasecmp(type, "application/vnd.", 16) == 0 ? type : NULL;
}

/*
 * Fetch the manifest or index under a tag or digest.
 *
 * digest  what it must have (NULL: not known beforehand)
 */
static int get_manifest(struct registry *registry, const char *reference, const char *digest,
                        struct document *ret, char ret_digest[IMAGE_DIGEST_SIZE], struct error *err)
{
        auto_document struct document document = DOCUMENT_INIT;
        auto_strbuf struct strbuf path = STRBUF_INIT;
        struct document_request request = { .accept = ACCEPT, .limit = IMAGE_MANIFEST_LIMIT };
        char actual[IMAGE_DIGEST_SIZE] = "sha256:";

        if (strbuf_printf(&path, "manifests/%s", reference) < 0)
                return error_no_memory(err);
        request.path = path.data;
        if (document_get(registry, &request, &document, err) < 0 ||
            sha256_of(strbuf_text(&document.text), document.text.length, actual + strlen(actual),
                      err) < 0)
                return -1;
        if (digest && strcmp(digest, actual) != 0)
                return error_set(err, EBADMSG, "manifest %s: its content is %s", digest, actual);
        if (document.digest && image_digest_valid(document.digest) &&
            strcmp(document.digest, actual) != 0)
                return error_set(err, EBADMSG, "manifest %s: its content is %s, not %s", reference,
                                 actual, document.digest);
        memcpy(ret_digest, actual, sizeof(actual));
        *ret = document;
        document = (struct document)DOCUMENT_INIT;
        return 0;
}

static int document_type(const struct document *document, enum image_document *ret,
                         struct error *err)
{
        return image_document_type(strbuf_text(&document->text), document->text.length,
                                   specific_media_type(document), ret, err);
}

/* Replace an index by the manifest in it that is for the platform. */
static int follow_index(struct registry *registry, const struct image_platform *platform,
                        struct document *document, char digest[IMAGE_DIGEST_SIZE],
                        struct error *err)
{
        auto_image_descriptor struct image_descriptor chosen = { .media_type = NULL };
        auto_document struct document manifest = DOCUMENT_INIT;
        enum image_document type;

        if (image_index_select(strbuf_text(&document->text), document->text.length, platform,
                               &chosen, err) < 0)
                return -1;
        report_info(registry->report, "Fetching image manifest");
        if (get_manifest(registry, chosen.digest, chosen.digest, &manifest, digest, err) < 0)
                return -1;
        if (manifest.text.length != chosen.size)
                return error_set(err, EBADMSG, "manifest %s: its size is not that of the index",
                                 chosen.digest);
        if (document_type(&manifest, &type, err) < 0)
                return -1;
        if (type != IMAGE_DOCUMENT_MANIFEST)
                return error_set(err, EPROTO, "manifest %s: an index inside an index",
                                 chosen.digest);
        document_release(document);
        *document = manifest;
        manifest = (struct document)DOCUMENT_INIT;
        return 0;
}

static int resolve(struct registry *registry, const struct image_platform *platform,
                   struct image_manifest *ret, char digest[IMAGE_DIGEST_SIZE], struct error *err)
{
        const struct image_reference *ref = registry->ref;
        auto_document struct document document = DOCUMENT_INIT;
        char named[IMAGE_DIGEST_SIZE]; /* what the reference stands for: index or manifest */
        enum image_document type;

        report_info(registry->report, "Querying %s for permission", registry->current->host);
        if (get_manifest(registry, ref->digest ? ref->digest : ref->tag, ref->digest, &document,
                         digest, err) < 0)
                return -1;
        /* What follows is asked for where this was found. */
        registry->current = document.endpoint;
        report_info(registry->report, registry->current->auth.header ? "Authentication succeeded"
                                                                     : "Permission granted");
        memcpy(named, digest, sizeof(named));
        if (document_type(&document, &type, err) < 0)
                return -1;
        report_info(registry->report, "Found image manifest%s",
                    type == IMAGE_DOCUMENT_INDEX ? " list" : "");
        if (type == IMAGE_DOCUMENT_INDEX &&
            follow_index(registry, platform, &document, digest, err) < 0)
                return -1;
        if (trust_check(registry, named, digest, err) < 0)
                return -1;
        return image_manifest_parse(strbuf_text(&document.text), document.text.length, ret, err);
}

int registry_resolve(struct registry *registry, const struct image_platform *platform,
                     struct image_manifest *ret, char ret_digest[IMAGE_DIGEST_SIZE],
                     struct error *err)
{
        const struct image_reference *ref = registry->ref;
        char digest[IMAGE_DIGEST_SIZE];

        if (resolve(registry, platform, ret, digest, err) < 0)
                return error_prefix(err, "%s/%s%s%s", ref->registry, ref->repository,
                                    ref->digest ? "@" : ":", ref->digest ? ref->digest : ref->tag);
        memcpy(ret_digest, digest, sizeof(digest));
        return 0;
}
