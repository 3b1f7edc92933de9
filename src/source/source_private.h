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
};

/* Release what struct source itself holds. */
void source_release(struct source *source);

/* The cache, with that of the site behind it. NULL with *err. */
struct store *source_open_store(const struct source_options *options, struct report *report,
                                struct error *err);

/* docker://, a registry */
struct source *source_open_docker(const char *uri, const struct source_options *options,
                                  struct report *report, struct error *err);
