/*
 * The content of layers: decompressed, ahead of the reader, in threads.
 *
 * A layer that the cache holds with its points (codec.h) is decompressed on several
 * threads. Where it has none, they are noted on the way and go into the cache once every blob
 * was verified, since they must be those of the right blob. They are a help only: what goes
 * wrong with them costs time. Damage inside of them shows when a part of the layer was given
 * out already, as damage of the blob does: whoever reads begins once more
 * (cache_drop_damaged).
 */
#include "source/content.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>

#include "codec/codec.h"
#include "util/cleanup.h"
#include "util/temp_file.h"

/*
 * On two cores, reading ahead of the reader for the points takes from one what it gives to the
 * other; with four it takes a third of the time, with eight a half (docs/performance.md).
 */
#define SCOUT_THREADS_LEAST 3

struct notes {
        struct temp_file file;
        atomic_bool complete;
        bool begun;
};

void content_release(struct source *source)
{
        for (size_t i = 0; source->notes && i < source->record.layer_count; i++)
                temp_file_discard(&source->notes[i].file);
        free(TAKE_PTR(source->notes));
}

/* ---- with points ---- */

/* NULL when that does not go, for whatever reason. */
static struct stream *open_with_points(struct store *store,
                                       const struct image_descriptor *descriptor,
                                       const struct content_limits *limits)
{
        struct error ignored = ERROR_INIT;
        int points_fd = store_get_points(store, descriptor->digest, &ignored);
        int fd = points_fd < 0 ? -1
                               : store_get(store, descriptor->digest, descriptor->size, &ignored);

        if (fd < 0) {
                if (points_fd >= 0)
                        (void)close(points_fd);
                return NULL;
        }
        (void)posix_fadvise(fd, 0, 0, POSIX_FADV_SEQUENTIAL);
        return codec_open_points(fd, descriptor->size, points_fd, limits->threads,
                                 limits->chunks_ahead, &ignored);
}

/* ---- without ---- */

/* Where the points of a layer go that is read for the first time; NULL: nowhere. */
static struct notes *begin_notes(struct source *source, size_t index)
{
        struct error ignored = ERROR_INIT;
        struct notes *notes;

        if (!source->cache)
                return NULL;
        if (!source->notes) {
                source->notes = calloc(source->record.layer_count, sizeof(*source->notes));
                for (size_t i = 0; source->notes && i < source->record.layer_count; i++)
                        source->notes[i].file = (struct temp_file)TEMP_FILE_INIT;
        }
        notes = source->notes ? &source->notes[index] : NULL;
        if (!notes || notes->begun)
                return NULL;
        notes->begun = true;
        return store_create_points(source->cache, source->record.layers[index].digest, &notes->file,
                                   &ignored) == 0
                       ? notes
                       : NULL;
}

struct stream *source_content(struct source *source, size_t index,
                              const struct content_limits *limits, struct error *err)
{
        struct stream *blob, *content;
        struct notes *notes;

        if (source->cache && index < source->record.layer_count) {
                content = open_with_points(source->cache, &source->record.layers[index], limits);
                if (content)
                        return content;
        }
        blob = source_layer(source, index, err);
        if (!blob)
                return NULL;
        notes = begin_notes(source, index);
        if (!notes) {
                content = codec_open(blob, err);
                return content ? codec_prefetch(content, limits->ahead, err) : NULL;
        }
        content = codec_open_noting(blob, notes->file.fd, &notes->complete, err);
        return content ? codec_prefetch_scouting(
                                 content, limits->ahead,
                                 limits->threads >= SCOUT_THREADS_LEAST ? limits->threads : 0,
                                 limits->chunks_ahead, err)
                       : NULL;
}

void content_publish_points(struct source *source)
{
        struct error ignored = ERROR_INIT;

        for (size_t i = 0; source->notes && i < source->record.layer_count; i++) {
                struct notes *notes = &source->notes[i];

                if (atomic_load(&notes->complete))
                        (void)store_publish_points(source->record.layers[i].digest, &notes->file,
                                                   &ignored);
                temp_file_discard(&notes->file);
        }
}
