/*
 * source/: where images come from, all with one face: a configuration and
 * layers, each a stream of the blob as it was stored (compressed or not).
 */
#pragma once

#include "image/image.h"
#include "registry/registry.h"
#include "store/store.h"
#include "util/stream.h"

struct source_options {
        struct registry_options registry;
        const char *cache_path;      /* ENROOT_CACHE_PATH */
        const char *site_cache_path; /* ENROOT_SITE_CACHE_PATH; "" or NULL for none */
        const char *temp_path;       /* ENROOT_TEMP_PATH */
        struct image_platform platform;
};

struct source;

/*
 * The name of the image file that an import of the URI makes by default: "IMAGE+TAG.sqsh" for
 * engines and registries, for files theirs without its suffix. malloc'd; NULL with *err
 * (EINVAL) when the URI tells no name.
 */
char *source_file_name(const char *uri, struct error *err);

/*
 * Whether the URI is that of an image file (https://HOST/FILE), which is no source of
 * layers; and copying it to an empty file, verified to be a squashfs image. A broken
 * download is resumed. Returns 0, or -1 with *err.
 */
bool source_is_image_file(const char *uri);
int source_fetch_image_file(const char *uri, const struct source_options *options, int fd,
                            struct report *report, struct error *err);

/*
 * Open an image:
 *
 *      docker://IMAGE              a registry; what the cache lacks is fetched by a
 *                                  thread of its own
 *      dockerd://IMAGE             Docker, podman://IMAGE: Podman on this machine
 *      oci:DIR[:TAG]               an OCI image layout, oci-archive:FILE[:TAG]: as an archive
 *      docker-archive:FILE[:NAME]  what "docker save" makes
 *      tar:FILE                    a root file system
 *
 * FILE may be "-" for standard input. What cannot be read at any place (a pipe, a compressed
 * archive) takes room in temp_path. Other schemes are an EINVAL that lists the known ones.
 * Every error names the image.
 * options and report must outlive the source. NULL with *err on failure.
 */
struct source *source_open(const char *uri, const struct source_options *options,
                           struct report *report, struct error *err);

/* Whether a word begins as one of the known URIs does. */
bool source_is_uri(const char *word);

/* Stop fetching and release. */
void source_close(struct source *source);

static inline void cleanup_source(struct source **source)
{
        if (*source)
                source_close(*source);
}
#define auto_source __attribute__((cleanup(cleanup_source)))

const struct image_config *source_config(const struct source *source);

/* Provenance, digest, layers and the text of the configuration; complete once it is open. */
const struct image_record *source_record(const struct source *source);

/*
 * The blob of a layer of the record, 0 being the bottom one, as a stream that can be read while
 * it still arrives. May be called again for a second pass. Close it before the
 * source. NULL with *err on failure.
 */
struct stream *source_layer(struct source *source, size_t index, struct error *err);

struct content_limits {
        unsigned int threads; /* to decompress with, where it can be divided */
        size_t ahead;         /* bytes before the reader, at most, in one thread */
        size_t chunks_ahead;  /* the same, in several */
};

/*
 * The content of a layer: as source_layer, decompressed in threads of its own. It ends in
 * EBADMSG or EIO where codec_open's would.
 */
struct stream *source_content(struct source *source, size_t index,
                              const struct content_limits *limits, struct error *err);

/*
 * Wait until every blob has come and matched its digest and size. What was read
 * before must not be published until this returned 0; -1 with *err otherwise.
 */
int source_verify(struct source *source, struct error *err);
