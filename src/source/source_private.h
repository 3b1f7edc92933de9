/* What every kind of source has, and what each does in its own way. */
#pragma once

#include "source/source.h"

struct source {
        /* The layer number index < layer_count, as source_layer promises it. */
        struct stream *(*layer)(struct source *source, size_t index, struct error *err);
        int (*verify)(struct source *source, struct error *err);
        void (*close)(struct source *source); /* releases the members below, too */

        struct image_config config;
        struct image_record record;

        struct store *cache; /* the kind's; where points of layers are kept, or NULL */
        struct notes *notes; /* content.c's: of each layer, or NULL */
};

/* Release what struct source itself holds. */
void source_release(struct source *source);

/* The cache, with that of the site behind it. NULL with *err. */
struct store *source_open_store(const struct source_options *options, struct report *report,
                                struct error *err);

/*
 * Parse the text of the configuration, which the source then owns (it is freed on
 * failure, too), and check that it is for the platform.
 */
int source_set_config(struct source *source, char *text, size_t length,
                      const struct image_platform *platform, struct error *err);

typedef struct source *source_open_fn(const char *uri, const struct source_options *options,
                                      struct report *report, struct error *err);

source_open_fn source_open_docker;         /* docker:// */
source_open_fn source_open_oci;            /* oci: */
source_open_fn source_open_oci_archive;    /* oci-archive: */
source_open_fn source_open_docker_archive; /* docker-archive: */
source_open_fn source_open_tar;            /* tar: */
source_open_fn source_open_dockerd;        /* dockerd:// */
source_open_fn source_open_podman;         /* podman:// */

/*
 * Names of image files (file_name.c), malloc'd or NULL with *err: of "SCHEME:FILE[:NAME]",
 * of "SCHEME://IMAGE", of "https://HOST/FILE".
 */
char *source_name_by_file(const char *scheme, const char *uri, struct error *err);
char *source_name_by_reference(const char *scheme, const char *uri, struct error *err);
char *source_name_by_url(const char *uri, struct error *err);
