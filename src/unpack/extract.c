#include "unpack/extract.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "util/cancel.h"
#include "util/cleanup.h"

static int item_error(struct error *err, const struct plan_item *item)
{
        return plan_error(err, "extract", item->directory, item->name);
}

static void count_bytes(struct extractor *extractor, uint64_t bytes)
{
        if (extractor->report)
                atomic_fetch_add_explicit(&extractor->report->progress.bytes_written, bytes,
                                          memory_order_relaxed);
}

static void count_entry(struct extractor *extractor)
{
        if (extractor->report)
                atomic_fetch_add_explicit(&extractor->report->progress.entries, 1,
                                          memory_order_relaxed);
}

/* ---- modes, times, attributes ---- */

/*
 * As chmod -R u+rX, and u+w for directories: whoever owns the tree must be able to
 * use and to remove it without capabilities.
 */
static mode_t usable_mode(enum entry_type type, uint16_t mode)
{
        if (type == ENTRY_DIRECTORY)
                return mode | 0700;
        return mode | 0400 | (mode & 0111 ? 0100 : 0);
}

static void times_of(int64_t mtime, struct timespec times[2])
{
        times[0] = times[1] = (struct timespec){ .tv_sec = mtime };
}

/* Not every file system takes attributes, and few images have any that matter. */
static void warn_xattrs_refused(struct extractor *extractor)
{
        if (!atomic_exchange(extractor->xattrs_refused, true))
                report_warn(extractor->report,
                            "The file system does not take user attributes; they are left out");
}

/* Only user.*: others need privileges or mean something else on this machine. */
static int set_xattrs(struct extractor *extractor, squashfs_ref ref, int fd, struct error *err)
{
        auto_cleanup(entry_meta_release) struct entry_meta meta = { .target = NULL };

        if (squashfs_xattrs(extractor->image, ref, &meta.xattrs, err) < 0)
                return -1;
        for (size_t i = 0; i < meta.xattrs.count; i++) {
                const struct xattr *xattr = &meta.xattrs.items[i];

                if (strncmp(xattr->name, "user.", strlen("user.")) != 0)
                        continue;
                if (fsetxattr(fd, xattr->name, xattr->value, xattr->size, 0) == 0)
                        continue;
                if (errno != ENOTSUP)
                        return error_errno(err, "attribute %s", xattr->name);
                warn_xattrs_refused(extractor);
                break;
        }
        return 0;
}

/* ---- content ---- */

static int write_at(int fd, const void *data, size_t size, uint64_t offset, struct error *err)
{
        while (size > 0) {
                ssize_t count = pwrite(fd, data, size, (off_t)offset);

                if (count < 0 && errno == EINTR)
                        continue;
                if (count < 0)
                        return error_errno(err, "write");
                data = (const char *)data + count;
                size -= (size_t)count;
                offset += (uint64_t)count;
        }
        return 0;
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
                        if (write_at(fd, extent->data, extent->size, offset, err) < 0)
                                return -1;
                        break;
                case SQUASHFS_PLAIN:
                        if (squashfs_read_plain(extractor->image, extractor->buffer, extent->size,
                                                extent->position, err) < 0 ||
                            write_at(fd, extractor->buffer, extent->size, offset, err) < 0)
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
                count_bytes(extractor, piece);
                offset += piece;
        }
        return 0;
}

/* ---- files in steps ---- */

int extract_begin(struct extractor *extractor, const struct plan_item *item, struct error *err)
{
        int directory = dir_cache_open(&extractor->dirs, item->directory, err);
        /* Setting attributes needs write permission, which the mode may lack. */
        mode_t mode = item->has_xattrs ? 0600 : usable_mode(ENTRY_FILE, item->mode) & 0777;
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
        mode_t mode = usable_mode(ENTRY_FILE, item->mode);
        struct timespec times[2];
        struct stat st;

        times_of(item->mtime, times);
        if (item->has_xattrs && set_xattrs(extractor, item->ref, fd, err) < 0)
                return -1;
        /* The umask, an inherited ACL or set-id bits, which writing clears. A look is cheaper
         * than a change, which file systems write to their journal. */
        if (fstat(fd, &st) < 0)
                return error_errno(err, "stat");
        if ((st.st_mode & 07777) != mode && fchmod(fd, mode) < 0)
                return error_errno(err, "chmod");
        if (futimens(fd, times) < 0)
                return error_errno(err, "set the time");
        return 0;
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
        count_entry(extractor);
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

static int make_symlink(struct extractor *extractor, const struct plan_item *item, int directory,
                        struct error *err)
{
        auto_free char *target = squashfs_readlink(extractor->image, item->ref, err);

        if (!target)
                return -1;
        if (symlinkat(target, directory, item->name) < 0)
                return error_errno(err, "symlink");
        return 0;
}

static int make_node(const struct plan_item *item, int directory, struct error *err)
{
        mode_t type = item->type == ENTRY_FIFO ? S_IFIFO : S_IFSOCK;

        if (mknodat(directory, item->name, type | 0600, 0) < 0)
                return error_errno(err, "mknod");
        if (fchmodat(directory, item->name, usable_mode(item->type, item->mode), 0) < 0)
                return error_errno(err, "chmod");
        return 0;
}

static int make_special(struct extractor *extractor, const struct plan_item *item,
                        struct error *err)
{
        int directory = dir_cache_open(&extractor->dirs, item->directory, err);
        struct timespec times[2];

        if (directory < 0)
                return -1;
        if ((item->type == ENTRY_SYMLINK ? make_symlink(extractor, item, directory, err)
                                         : make_node(item, directory, err)) < 0)
                return item_error(err, item);
        times_of(item->mtime, times);
        if (utimensat(directory, item->name, times, AT_SYMLINK_NOFOLLOW) < 0) {
                error_errno(err, "set the time");
                return item_error(err, item);
        }
        count_entry(extractor);
        return 0;
}

int extract_item(struct extractor *extractor, const struct plan_item *item, struct error *err)
{
        if (item->type == ENTRY_FILE)
                return extract_file(extractor, item, err);
        return make_special(extractor, item, err);
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
        count_entry(extractor);
        return 0;
}

int extract_directory_end(struct extractor *extractor, const struct plan_directory *directory,
                          struct error *err)
{
        int fd = dir_cache_open(&extractor->dirs, directory, err);
        struct squashfs_stat stat;
        struct timespec times[2];
        int status = 0;

        if (fd < 0)
                return -1;
        if (squashfs_stat(extractor->image, directory->ref, &stat, err) < 0 ||
            (stat.has_xattrs && set_xattrs(extractor, directory->ref, fd, err) < 0))
                status = -1;
        if (status == 0 && fchmod(fd, usable_mode(ENTRY_DIRECTORY, stat.meta.mode)) < 0)
                status = error_errno(err, "chmod");
        if (status == 0) {
                times_of(stat.meta.mtime, times);
                if (futimens(fd, times) < 0)
                        status = error_errno(err, "set the time");
        }
        if (status < 0)
                return plan_error(err, "extract", directory, NULL);
        count_entry(extractor);
        return 0;
}
