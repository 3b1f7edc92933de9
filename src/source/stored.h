/*
 * What sources have in common whose layers lie in files: image layouts and archives.
 * Every layer is hashed while it is read, and a wrong digest is an error at its end.
 */
#pragma once

#include <stdatomic.h>

#include "source/archive.h"
#include "source/source_private.h"

struct stored_layer {
        char *member; /* of the archive */
        atomic_bool verified;
};

struct stored_source {
        struct source base;
        struct report *report;
        struct archive *archive; /* NULL when the source is one file: */
        struct extent file;      /* its only layer */

        /*
         * Whether the digests of the layers are those of the uncompressed archives, as
         * Docker has them. Such layers are read decompressed.
         */
        bool plain_digests;
        struct stored_layer *layers; /* as many as the record has */
};

/* ---- where they are: "SCHEME:FILE[:NAME]" ---- */

struct location {
        const char *scheme; /* borrowed */
        char *path;         /* "-" for standard input */
        char *name;         /* of the image in it; NULL when not given */
};

/*
 * A path may have colons: all of it without a NAME, if that exists; else the shortest
 * one that exists with a NAME behind it.
 */
int location_parse(const char *scheme, const char *uri, struct location *ret, struct error *err);
void location_release(struct location *location);
#define auto_location auto_cleanup(location_release)

/* A descriptor for reading the file, or a duplicate of standard input; -1 with *err. */
int location_open(const struct location *location, struct error *err);

/* ---- sources ---- */

/* NULL with *err on failure. The caller fills it, and closes it as any source. */
struct stored_source *stored_new(struct report *report, struct error *err);

static inline void cleanup_stored(struct stored_source **source)
{
        if (*source)
                source_close(&(*source)->base);
}
#define auto_stored __attribute__((cleanup(cleanup_stored)))

/* A new source that open fills from a location. Errors get the URI in front. */
struct source *stored_open(const char *scheme, const char *uri,
                           const struct source_options *options, struct report *report,
                           int (*open)(struct stored_source *source,
                                       const struct location *location,
                                       const struct source_options *options, struct error *err),
                           struct error *err);

/* Make room for layers, bottom first, without members and digests. */
int stored_allocate(struct stored_source *source, size_t count, struct error *err);

/*
 * The layers are known: find their files and sizes. A size that the record has must
 * be the file's; a digest that it lacks is computed.
 */
int stored_begin(struct stored_source *source, struct error *err);

/*
 * Set the record's provenance, unless it is known: the location with the name of the image,
 * where it has one.
 */
int stored_set_provenance(struct stored_source *source, const struct location *location,
                          const char *name, struct error *err);

/* Fill a source whose archive is one of "docker save", with the image called location->name. */
int stored_open_docker_archive(struct stored_source *source, const struct location *location,
                               const struct image_platform *platform, struct error *err);
