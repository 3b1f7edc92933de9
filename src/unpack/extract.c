#include "unpack/extract.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "util/cancel.h"
#include "util/cleanup.h"

static int item_error(struct error *err, const struct plan_item *item)
{
        return plan_error(err, "extract", item->directory, item->name);
}

/* Attributes are read only where there are any. */
static int set_xattrs(struct extractor *extractor, squashfs_ref ref, int fd, struct error *err)
{
        auto_cleanup(entry_meta_release) struct entry_meta meta = { .target = NULL };

        if (squashfs_xattrs(extractor->image, ref, &meta.xattrs, err) < 0)
                return -1;
        return make_set_xattrs(extractor->maker, fd, &meta.xattrs, err);
}

/* ---- content ---- */

static int copy_plain(struct extractor *extractor, uint64_t position, uint64_t size, int fd,
                      uint64_t offset, struct error *err)
{
        while (size > 0) {
                size_t piece = size < EXTRACT_BUFFER ? size : EXTRACT_BUFFER;

                if (squashfs_read_plain(extractor->image, extractor->buffer, piece, position, err) <
                            0 ||
                    make_write(fd, extractor->buffer, piece, offset, err) < 0)
                        return -1;
                position += piece;
                offset += piece;
                size -= piece;
        }
        return 0;
}

/* Straight from the image file's pages where that is possible. */
static int write_plain(struct extractor *extractor, const struct squashfs_extent *extent, int fd,
                       uint64_t offset, struct error *err)
{
        const void *content = squashfs_window_at(extractor->image, &extractor->window,
                                                 extent->position, extent->size);
        struct error failure = ERROR_INIT;

        if (content && make_write(fd, content, extent->size, offset, &failure) == 0)
                return 0;
        /* EFAULT: the image file was cut off or cannot be read; reading it says which. */
        if (content && failure.code != EFAULT) {
                *err = failure;
                return -1;
        }
        return copy_plain(extractor, extent->position, extent->size, fd, offset, err);
}

/* Holes are stepped over; one at the end of the file is all that gives it its length. */
static int write_extents(struct extractor *extractor, const struct plan_item *item,
                         const struct squashfs_map *map, int fd, uint64_t offset, struct error *err)
{
        for (size_t i = 0; i < map->count; i++) {
                const struct squashfs_extent *extent = &map->extents[i];

                switch (extent->kind) {
                case SQUASHFS_HOLE:
                        if (offset + extent->size == item->size &&
                            ftruncate(fd, (off_t)item->size) < 0)
                                return error_errno(err, "set the length");
                        break;
                case SQUASHFS_MEMORY:
                        if (make_write(fd, extent->data, extent->size, offset, err) < 0)
                                return -1;
                        break;
                case SQUASHFS_PLAIN:
                        if (write_plain(extractor, extent, fd, offset, err) < 0)
                                return -1;
                        break;
                }
                offset += extent->size;
        }
        return 0;
}

static int write_part(struct extractor *extractor, const struct plan_item *item, int fd,
                      uint64_t offset, uint64_t end, struct error *err)
{
        struct squashfs_map map;

        while (offset < end) {
                uint64_t piece = end - offset < EXTRACT_PIECE ? end - offset : EXTRACT_PIECE;
                int status;

                if (cancel_check(err) < 0 ||
                    squashfs_map(extractor->image, item->ref, offset, piece, &map, err) < 0)
                        return -1;
                piece = map.size;
                status = write_extents(extractor, item, &map, fd, offset, err);
                squashfs_unmap(extractor->image, &map);
                if (status < 0)
                        return -1;
                make_count(extractor->maker->report, 0, piece);
                offset += piece;
        }
        return 0;
}

/* ---- files in steps ---- */

int extract_begin(struct extractor *extractor, const struct plan_item *item, struct error *err)
{
        int directory = dir_cache_open(&extractor->dirs, item->directory, err);
        /* Setting attributes needs write permission, which the mode may lack. */
        mode_t mode = item->has_xattrs ? 0600 : make_mode(ENTRY_FILE, item->mode) & 0777;
        int fd;

        if (directory < 0)
                return -1;
        fd = openat(directory, item->name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC,
                    mode);
        if (fd < 0) {
                error_errno(err, "create");
                return item_error(err, item);
        }
        return fd;
}

int extract_part(struct extractor *extractor, const struct plan_item *item, int fd, uint64_t offset,
                 uint64_t end, struct error *err)
{
        return write_part(extractor, item, fd, offset, end, err) < 0 ? item_error(err, item) : 0;
}

static int complete_file(struct extractor *extractor, const struct plan_item *item, int fd,
                         struct error *err)
{
        if (item->has_xattrs && set_xattrs(extractor, item->ref, fd, err) < 0)
                return -1;
        if (make_set_owner(extractor->maker, fd, NULL, item->uid, item->gid, err) < 0 ||
            make_set_mode(fd, make_mode(ENTRY_FILE, item->mode), err) < 0)
                return -1;
        return make_set_time(fd, item->mtime, err);
}

int extract_end(struct extractor *extractor, const struct plan_item *item, int fd,
                struct error *err)
{
        int status = complete_file(extractor, item, fd, err);

        /* Network file systems report a full disk or quota here. */
        if (close(fd) < 0 && status == 0)
                status = error_errno(err, "close");
        if (status < 0)
                return item_error(err, item);
        make_count(extractor->maker->report, 1, 0);
        return 0;
}

/* ---- whole items ---- */

static int extract_file(struct extractor *extractor, const struct plan_item *item,
                        struct error *err)
{
        int fd = extract_begin(extractor, item, err);

        if (fd < 0)
                return -1;
        if (extract_part(extractor, item, fd, 0, item->size, err) < 0) {
                (void)close(fd);
                return -1;
        }
        return extract_end(extractor, item, fd, err);
}

static int extract_special(struct extractor *extractor, const struct plan_item *item,
                           struct error *err)
{
        auto_cleanup(entry_meta_release) struct entry_meta meta = {
                .type = item->type,
                .mode = item->mode,
                .uid = item->uid,
                .gid = item->gid,
                .mtime = item->mtime,
        };
        int directory = dir_cache_open(&extractor->dirs, item->directory, err);

        if (directory < 0)
                return -1;
        if (item->type == ENTRY_SYMLINK) {
                meta.target = squashfs_readlink(extractor->image, item->ref, err);
                if (!meta.target)
                        return item_error(err, item);
        }
        if (make_special(extractor->maker, directory, item->name, &meta, err) < 0)
                return item_error(err, item);
        make_count(extractor->maker->report, 1, 0);
        return 0;
}

int extract_item(struct extractor *extractor, const struct plan_item *item, struct error *err)
{
        if (item->type == ENTRY_FILE)
                return extract_file(extractor, item, err);
        return extract_special(extractor, item, err);
}

int extract_link(struct extractor *extractor, const struct plan_item *first,
                 const struct plan_item *item, struct error *err)
{
        int from = dir_cache_open(&extractor->dirs, first->directory, err);
        auto_close int from_copy = from < 0 ? -1 : fcntl(from, F_DUPFD_CLOEXEC, 3);
        int to;

        if (from < 0)
                return -1;
        if (from_copy < 0)
                return error_errno(err, "duplicate a descriptor");
        /* Opening one directory may close the other. */
        to = dir_cache_open(&extractor->dirs, item->directory, err);
        if (to < 0)
                return -1;
        if (linkat(from_copy, first->name, to, item->name, 0) < 0) {
                error_errno(err, "link");
                return item_error(err, item);
        }
        make_count(extractor->maker->report, 1, 0);
        return 0;
}

int extract_directory_end(struct extractor *extractor, const struct plan_directory *directory,
                          struct error *err)
{
        int fd = dir_cache_open(&extractor->dirs, directory, err);
        struct squashfs_stat stat;

        if (fd < 0)
                return -1;
        if (squashfs_stat(extractor->image, directory->ref, &stat, err) < 0 ||
            (stat.has_xattrs && set_xattrs(extractor, directory->ref, fd, err) < 0) ||
            make_set_owner(extractor->maker, fd, NULL, stat.meta.uid, stat.meta.gid, err) < 0 ||
            make_set_mode(fd, make_mode(ENTRY_DIRECTORY, stat.meta.mode), err) < 0 ||
            make_set_time(fd, stat.meta.mtime, err) < 0)
                return plan_error(err, "extract", directory, NULL);
        make_count(extractor->maker->report, 1, 0);
        return 0;
}
