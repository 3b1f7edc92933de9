/*
 * tar: — the archive of a root file system, compressed or not, as an image of one
 * layer without a configuration.
 */
#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "source/spool.h"
#include "source/stored.h"

/*
 * The file itself, or a copy of what comes through a pipe: its digest must be known
 * before it is merged, and the merge may have to read it twice.
 */
static int open_seekable(const struct location *location, const struct source_options *options,
                         struct report *report, struct error *err)
{
        auto_close int fd = location_open(location, err);
        auto_stream struct stream *stream = NULL;
        auto_close int spool = -1;
        struct stat st;

        if (fd < 0)
                return -1;
        if (fstat(fd, &st) < 0)
                return error_errno(err, "%s", location->path);
        if (S_ISREG(st.st_mode) && lseek(fd, 0, SEEK_CUR) == 0)
                return TAKE_FD(fd);
        if (S_ISDIR(st.st_mode))
                return error_set(err, EISDIR, "%s is a directory", location->path);
        stream = stream_from_fd(TAKE_FD(fd), err);
        spool = stream ? spool_open(options->temp_path, 0, err) : -1;
        if (spool < 0 || spool_copy(spool, options->temp_path, stream, report, err) < 0)
                return -1;
        return TAKE_FD(spool);
}

static int open_file(struct stored_source *source, const struct location *location,
                     const struct source_options *options, struct error *err)
{
        struct image_record *record = &source->base.record;
        struct stat st;

        if (location->name)
                return error_set(err, ENOENT, "there is no file of that name");
        source->file.fd = open_seekable(location, options, source->report, err);
        if (source->file.fd < 0)
                return -1;
        if (fstat(source->file.fd, &st) < 0)
                return error_errno(err, "fstat");
        source->file.size = (uint64_t)st.st_size;
        if (stored_allocate(source, 1, err) < 0 || stored_begin(source, err) < 0 ||
            stored_set_provenance(source, location, NULL, err) < 0)
                return -1;
        memcpy(record->digest, record->layers[0].digest, sizeof(record->digest));
        return 0;
}

struct source *source_open_tar(const char *uri, const struct source_options *options,
                               struct report *report, struct error *err)
{
        return stored_open("tar:", uri, options, report, open_file, err);
}
