/*
 * A tar archive, written by libarchive. As for reading (layer.c), all its calls run in the
 * "C" locale, so that names keep their bytes.
 */
#include <errno.h>
#include <locale.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "layer/layer.h"
#include "layer/libarchive.h"
#include "util/cleanup.h"

struct tar_writer {
        const struct archive_functions *lib;
        locale_t locale;
        struct archive *archive;
        struct archive_entry *header;
        struct byte_sink *target;
        struct error failure; /* of the target */
};

static la_ssize_t give_block(struct archive *archive, void *context, const void *data, size_t size)
{
        struct tar_writer *writer = context;

        (void)archive;
        if (writer->failure.code != 0 ||
            byte_sink_write(writer->target, data, size, &writer->failure) < 0)
                return -1;
        return (la_ssize_t)size;
}

static int writer_failed(struct tar_writer *writer, struct error *err)
{
        const char *message = writer->lib->error_string(writer->archive);

        if (writer->failure.code != 0) {
                *err = writer->failure;
                return -1;
        }
        return error_set(err, EIO, "cannot write the archive: %s",
                         message ? message : "unknown reason");
}

void tar_writer_free(struct tar_writer *writer)
{
        if (writer->header)
                writer->lib->entry_free(writer->header);
        if (writer->archive) {
                /*
                 * Freeing would write what is missing of an archive that was not finished.
                 * (archive_write_fail is there for it, and leaks the output buffer.)
                 */
                error_set(&writer->failure, ECANCELED, "abandoned");
                (void)writer->lib->write_free(writer->archive);
        }
        if (writer->locale != (locale_t)0)
                freelocale(writer->locale);
        free(writer);
}

static int open_writer(struct tar_writer *writer, struct error *err)
{
        writer->lib = archive_functions(err);
        if (!writer->lib)
                return -1;
        writer->locale = newlocale(LC_ALL_MASK, "C", (locale_t)0);
        writer->archive = writer->lib->write_new();
        writer->header = writer->lib->entry_new();
        if (writer->locale == (locale_t)0 || !writer->archive || !writer->header)
                return error_no_memory(err);
        /* Names are bytes. Attributes once, in the form that container engines read. */
        if (writer->lib->write_set_format(writer->archive) != ARCHIVE_OK ||
            writer->lib->write_set_format_option(writer->archive, "pax", "hdrcharset", "BINARY") !=
                    ARCHIVE_OK ||
            writer->lib->write_set_format_option(writer->archive, "pax", "xattrheader", "SCHILY") !=
                    ARCHIVE_OK ||
            writer->lib->write_set_last_block(writer->archive, 1) != ARCHIVE_OK ||
            writer->lib->write_open(writer->archive, writer, NULL, give_block, NULL) != ARCHIVE_OK)
                return writer_failed(writer, err);
        return 0;
}

struct tar_writer *tar_writer_new(struct byte_sink *target, struct error *err)
{
        auto_tar_writer struct tar_writer *writer = calloc(1, sizeof(*writer));

        if (!writer) {
                error_no_memory(err);
                return NULL;
        }
        writer->target = target;
        return open_writer(writer, err) < 0 ? NULL : TAKE_PTR(writer);
}

/* Type, and what goes with it. */
static int set_type(struct tar_writer *writer, const struct entry_meta *meta, struct error *err)
{
        const struct archive_functions *lib = writer->lib;
        unsigned int type;

        switch (meta->type) {
        case ENTRY_HARDLINK:
                lib->entry_set_hardlink(writer->header, meta->target);
                type = AE_IFREG;
                break;
        case ENTRY_FILE:
                lib->entry_set_size(writer->header, (la_int64_t)meta->size);
                type = AE_IFREG;
                break;
        case ENTRY_DIRECTORY:
                type = AE_IFDIR;
                break;
        case ENTRY_SYMLINK:
                lib->entry_set_symlink(writer->header, meta->target);
                type = AE_IFLNK;
                break;
        case ENTRY_FIFO:
                type = AE_IFIFO;
                break;
        default:
                return error_set(err, EINVAL, "a layer holds no such kind of file");
        }
        lib->entry_set_filetype(writer->header, type);
        return 0;
}

static int fill_header(struct tar_writer *writer, const char *path, const struct entry_meta *meta,
                       struct error *err)
{
        const struct archive_functions *lib = writer->lib;
        auto_free char *name = NULL;

        (void)lib->entry_clear(writer->header);
        if (asprintf(&name, "%s%s", *path ? path : ".", meta->type == ENTRY_DIRECTORY ? "/" : "") <
            0) {
                name = NULL;
                return error_no_memory(err);
        }
        lib->entry_set_pathname(writer->header, name);
        lib->entry_set_perm(writer->header, meta->mode);
        lib->entry_set_uid(writer->header, meta->uid);
        lib->entry_set_gid(writer->header, meta->gid);
        lib->entry_set_mtime(writer->header, (time_t)meta->mtime, 0);
        for (size_t i = 0; i < meta->xattrs.count; i++)
                lib->entry_add_xattr(writer->header, meta->xattrs.items[i].name,
                                     meta->xattrs.items[i].value, meta->xattrs.items[i].size);
        return set_type(writer, meta, err);
}

static int begin(struct tar_writer *writer, const char *path, const struct entry_meta *meta,
                 const struct tar_range *ranges, size_t count, struct error *err)
{
        int result;

        if (fill_header(writer, path, meta, err) < 0)
                return -1;
        for (size_t i = 0; i < count; i++)
                writer->lib->entry_add_sparse(writer->header, (la_int64_t)ranges[i].offset,
                                              (la_int64_t)ranges[i].size);
        result = writer->lib->write_header(writer->archive, writer->header);
        return result == ARCHIVE_OK || result == ARCHIVE_WARN ? 0 : writer_failed(writer, err);
}

int tar_writer_begin(struct tar_writer *writer, const char *path, const struct entry_meta *meta,
                     const struct tar_range *ranges, size_t count, struct error *err)
{
        locale_t before = uselocale(writer->locale);
        int result = begin(writer, path, meta, ranges, count, err);

        (void)uselocale(before);
        return result;
}

int tar_writer_data(struct tar_writer *writer, const void *data, size_t size, struct error *err)
{
        while (size > 0) {
                la_ssize_t count = writer->lib->write_data(writer->archive, data, size);

                if (count <= 0)
                        return count < 0 ? writer_failed(writer, err)
                                         : error_set(err, EMSGSIZE, "more content than promised");
                data = (const char *)data + count;
                size -= (size_t)count;
        }
        return 0;
}

int tar_writer_finish(struct tar_writer *writer, struct error *err)
{
        locale_t before = uselocale(writer->locale);
        int result = writer->lib->write_close(writer->archive);

        (void)uselocale(before);
        return result == ARCHIVE_OK ? 0 : writer_failed(writer, err);
}
