/*
 * A tar stream, read by libarchive, whose only parts in use are the formats "tar"
 * and "empty"; its decompressors are not.
 *
 * Character sets. libarchive converts the names in pax records, which are meant
 * to be UTF-8, to the character set of the locale, and keeps the bytes as they
 * are where that fails (pax_header in archive_read_support_format_tar.c). In a
 * UTF-8 locale, surrogates would be rewritten; in the "C" locale only ASCII
 * converts, to itself. So all calls run in that locale, whatever the program's is,
 * and every name keeps its bytes. That it does so with a warning is expected.
 */
#include "layer/layer.h"

#include <errno.h>
#include <locale.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "layer/convert.h"
#include "layer/libarchive.h"
#include "util/cleanup.h"

/* What libarchive is given at a time, in bytes. */
#define SLICE_SIZE (256 * 1024)

/*
 * The most that the headers of one entry may take, in bytes: libarchive keeps
 * some 50 bytes for each 4 of a sparse file's map, and has no limit of its own.
 */
#define HEADERS_MAX (4 * 1024 * 1024)

struct layer {
        const struct archive_functions *lib;
        locale_t locale;
        struct archive *archive;
        struct archive_entry *header;

        struct stream *tar;
        void *buffer;      /* for a stream that lends nothing */
        const char *piece; /* what the stream gave and libarchive did not get yet */
        size_t piece_left;
        bool ended;           /* libarchive asked for more than the stream had */
        struct error failure; /* of the stream, or of a limit */
        size_t allowance;     /* bytes that libarchive may still take for headers */

        bool in_entry;         /* its content, if any, is still to be skipped */
        bool has_content;      /* the entry is a file that can be read */
        bool finished;         /* the end of the archive was reported */
        uint64_t size, offset; /* of its content, and up to where it was given */
};

/* ---- input ---- */

static la_ssize_t give_slice(struct archive *archive, void *context, const void **ret_data)
{
        struct layer *layer = context;
        size_t n;

        (void)archive;
        if (layer->piece_left == 0) {
                const void *piece;
                ssize_t size =
                        stream_next(layer->tar, layer->buffer, SLICE_SIZE, &piece, &layer->failure);

                if (size < 0)
                        return ARCHIVE_FATAL;
                layer->piece = piece;
                layer->piece_left = (size_t)size;
                layer->ended = size == 0;
        }
        n = layer->piece_left < SLICE_SIZE ? layer->piece_left : SLICE_SIZE;
        if (n > layer->allowance)
                return error_set(&layer->failure, EFBIG,
                                 "the headers of one file take more than %d MiB",
                                 HEADERS_MAX >> 20);
        layer->allowance -= n;
        *ret_data = layer->piece;
        layer->piece += n;
        layer->piece_left -= n;
        return (la_ssize_t)n;
}

/*
 * Read to the end of the stream: what checks the whole of it (the checksum of a
 * compressed file, the digest of a blob) has not seen it otherwise.
 */
static int drain(struct layer *layer, struct error *err)
{
        const void *piece;
        ssize_t size;

        do
                size = stream_next(layer->tar, layer->buffer, SLICE_SIZE, &piece, err);
        while (size > 0);
        return (int)size;
}

/* ---- errors ---- */

static int archive_failed(struct layer *layer, struct error *err)
{
        const char *message = layer->lib->error_string(layer->archive);

        if (layer->failure.code != 0) {
                *err = layer->failure;
                return -1;
        }
        if (layer->lib->format(layer->archive) == 0)
                return error_set(err, EBADMSG, "this is not a tar archive");
        if (layer->ended)
                return error_set(err, EIO, "the tar archive ends too early");
        return error_set(err, EBADMSG, "the tar archive is damaged: %s",
                         message ? message : "unknown record");
}

/* Warnings are for what libarchive leaves out. Only two such things do not matter here. */
static bool is_harmless_warning(struct layer *layer)
{
        const char *message = layer->lib->error_string(layer->archive);

        /* A name that it could not convert (ARCHIVE_ERRNO_FILE_FORMAT of its own headers). */
        if (layer->lib->error_number(layer->archive) == EILSEQ)
                return true;
        /* An access control list, which squashfs could not store. */
        return message && (strstr(message, "acl") || strstr(message, "ACL"));
}

/* ---- life ---- */

void layer_close(struct layer *layer)
{
        if (layer->header)
                layer->lib->entry_free(layer->header);
        if (layer->archive)
                (void)layer->lib->read_free(layer->archive);
        if (layer->locale != (locale_t)0)
                freelocale(layer->locale);
        stream_close(layer->tar);
        free(layer->buffer);
        free(layer);
}

static int open_archive(struct layer *layer, struct error *err)
{
        layer->lib = archive_functions(err);
        if (!layer->lib)
                return -1;
        layer->locale = newlocale(LC_ALL_MASK, "C", (locale_t)0);
        layer->archive = layer->lib->read_new();
        layer->header = layer->lib->entry_new();
        if (!layer->tar->next)
                layer->buffer = malloc(SLICE_SIZE);
        if (layer->locale == (locale_t)0 || !layer->archive || !layer->header ||
            (!layer->tar->next && !layer->buffer))
                return error_no_memory(err);
        /* "._NAME" is a file like any other, not metadata of NAME. */
        if (layer->lib->read_support_format_tar(layer->archive) != ARCHIVE_OK ||
            layer->lib->read_support_format_empty(layer->archive) != ARCHIVE_OK ||
            layer->lib->read_set_format_option(layer->archive, "tar", "mac-ext", NULL) !=
                    ARCHIVE_OK ||
            layer->lib->read_open(layer->archive, layer, NULL, give_slice, NULL) != ARCHIVE_OK)
                return archive_failed(layer, err);
        return 0;
}

struct layer *layer_open(struct stream *tar, struct error *err)
{
        auto_layer struct layer *layer = calloc(1, sizeof(*layer));

        if (!layer) {
                stream_close(tar);
                error_no_memory(err);
                return NULL;
        }
        layer->tar = tar;
        layer->allowance = SIZE_MAX;
        if (open_archive(layer, err) < 0)
                return NULL;
        return TAKE_PTR(layer);
}

/* ---- entries ---- */

/* Returns 1, 0 at the end of the archive, -1 with *err. */
static int next_header(struct layer *layer, struct error *err)
{
        int result;

        layer->allowance = SIZE_MAX;
        if (layer->in_entry && layer->lib->read_data_skip(layer->archive) != ARCHIVE_OK)
                return archive_failed(layer, err);
        layer->in_entry = layer->has_content = false;

        layer->allowance = HEADERS_MAX;
        result = layer->lib->read_next_header2(layer->archive, layer->header);
        layer->allowance = SIZE_MAX;
        if (result == ARCHIVE_EOF) {
                layer->finished = true;
                return drain(layer, err);
        }
        if (result != ARCHIVE_OK && !(result == ARCHIVE_WARN && is_harmless_warning(layer)))
                return archive_failed(layer, err);
        layer->in_entry = true;
        return 1;
}

static int next_entry(struct layer *layer, struct entry *entry, struct error *err)
{
        while (!layer->finished) {
                int result = next_header(layer, err);

                if (result <= 0)
                        return result;
                result = convert_header(layer->lib, layer->header, entry, err);
                if (result > 0) {
                        layer->has_content = entry->meta.type == ENTRY_FILE;
                        layer->size = entry->meta.size;
                        layer->offset = 0;
                        return 1;
                }
                entry_release(entry);
                if (result < 0)
                        return -1;
        }
        return 0;
}

int layer_next(struct layer *layer, struct entry *entry, struct error *err)
{
        locale_t before = uselocale(layer->locale);
        int result = next_entry(layer, entry, err);

        (void)uselocale(before);
        return result;
}

ssize_t layer_read(struct layer *layer, const void **ret_data, uint64_t *ret_offset,
                   struct error *err)
{
        int64_t offset = 0;
        size_t size = 0;

        if (!layer->has_content)
                return 0;
        while (size == 0) {
                int result = layer->lib->read_data_block(layer->archive, ret_data, &size, &offset);

                if (result == ARCHIVE_EOF)
                        return 0;
                if (result != ARCHIVE_OK)
                        return archive_failed(layer, err);
        }
        if (offset < 0 || (uint64_t)offset < layer->offset || (uint64_t)offset > layer->size ||
            size > layer->size - (uint64_t)offset)
                return error_set(err, EBADMSG, "the map of a sparse file is damaged");
        layer->offset = (uint64_t)offset + size;
        *ret_offset = (uint64_t)offset;
        return (ssize_t)size;
}
