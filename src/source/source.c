#include "source/source.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "source/content.h"
#include "source/source_private.h"
#include "util/cleanup.h"

static const struct scheme {
        const char *prefix, *what;
        const char *transport; /* its name in policies; NULL: the source looks itself */
        source_open_fn *open;
        char *(*file_name)(const char *scheme, const char *uri, struct error *err);
} schemes[] = {
        { "docker://", "IMAGE", NULL, source_open_docker, source_name_by_reference },
        { "dockerd://", "IMAGE", "docker-daemon", source_open_dockerd, source_name_by_reference },
        { "podman://", "IMAGE", "containers-storage", source_open_podman,
          source_name_by_reference },
        { "oci:", "DIR[:TAG]", "oci", source_open_oci, source_name_by_file },
        { "oci-archive:", "FILE[:TAG]", "oci-archive", source_open_oci_archive,
          source_name_by_file },
        { "docker-archive:", "FILE[:NAME]", "docker-archive", source_open_docker_archive,
          source_name_by_file },
        { "tar:", "FILE", "tarball", source_open_tar, source_name_by_file },
};

/* The scheme of a URI; NULL with *err. */
static const struct scheme *find_scheme(const char *uri, struct error *err)
{
        for (size_t i = 0; i < ARRAY_SIZE(schemes); i++)
                if (strncmp(uri, schemes[i].prefix, strlen(schemes[i].prefix)) == 0)
                        return &schemes[i];
        error_set(err, EINVAL, "%s: an image is named as", uri);
        for (size_t i = 0; i < ARRAY_SIZE(schemes); i++)
                error_append(err, " %s%s,", schemes[i].prefix, schemes[i].what);
        error_append(err, " https://HOST/FILE");
        return NULL;
}

bool source_is_uri(const char *word)
{
        struct error ignored = ERROR_INIT;

        return find_scheme(word, &ignored) != NULL;
}

/*
 * Whether the policies let the image through. Those of files have the file's real path
 * as scope, without the ":TAG" that may follow it.
 */
static int check_policy(const struct scheme *scheme, const char *uri,
                        const struct source_options *options, struct error *err)
{
        const char *rest = uri + strlen(scheme->prefix);
        const char *slash = strrchr(rest, '/');
        auto_free char *file = NULL, *path = NULL;

        if (!scheme->transport)
                return 0;
        file = strndup(rest,
                       (slash ? (size_t)(slash - rest) : 0) + strcspn(slash ? slash : rest, ":"));
        if (!file)
                return error_no_memory(err);
        if (scheme->file_name == source_name_by_file)
                path = realpath(file, NULL);
        if (registry_check_transport(&options->registry, scheme->transport, path, err) < 0)
                return error_prefix(err, "%s", uri);
        return 0;
}

struct source *source_open(const char *uri, const struct source_options *options,
                           struct report *report, struct error *err)
{
        const struct scheme *scheme;

        if (source_is_image_file(uri)) {
                error_set(err, EINVAL, "%s is an image file, which only import fetches", uri);
                return NULL;
        }
        scheme = find_scheme(uri, err);
        if (!scheme || check_policy(scheme, uri, options, err) < 0)
                return NULL;
        return scheme->open(uri, options, report, err);
}

char *source_file_name(const char *uri, struct error *err)
{
        const struct scheme *scheme;

        if (source_is_image_file(uri))
                return source_name_by_url(uri, err);
        scheme = find_scheme(uri, err);
        return scheme ? scheme->file_name(scheme->prefix, uri, err) : NULL;
}

void source_close(struct source *source)
{
        source->close(source);
}

void source_release(struct source *source)
{
        content_release(source);
        image_config_release(&source->config);
        image_record_release(&source->record);
}

struct store *source_open_store(const struct source_options *options, struct report *report,
                                struct error *err)
{
        struct store *store = store_open(options->cache_path, err);
        struct error why = ERROR_INIT;

        if (store && options->site_cache_path && *options->site_cache_path &&
            store_add_site(store, options->site_cache_path, &why) < 0)
                report_warn(report, "%s; going on without it", why.message);
        return store;
}

int source_set_config(struct source *source, char *text, size_t length,
                      const struct image_platform *platform, struct error *err)
{
        if (!text)
                return error_no_memory(err);
        source->record.config = text;
        if (image_config_parse(text, length, &source->config, err) < 0)
                return -1;
        return image_config_check_platform(&source->config, platform, err);
}

const struct image_config *source_config(const struct source *source)
{
        return &source->config;
}

const struct image_record *source_record(const struct source *source)
{
        return &source->record;
}

struct stream *source_layer(struct source *source, size_t index, struct error *err)
{
        if (index >= source->record.layer_count) {
                error_set(err, EINVAL, "the image has no layer %zu", index);
                return NULL;
        }
        return source->layer(source, index, err);
}

int source_verify(struct source *source, struct error *err)
{
        if (source->verify(source, err) < 0)
                return -1;
        content_publish_points(source);
        return 0;
}
