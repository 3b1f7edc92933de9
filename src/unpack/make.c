#include "unpack/make.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

int make_write(int fd, const void *data, size_t size, uint64_t offset, struct error *err)
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

mode_t make_mode(enum entry_type type, uint16_t mode)
{
        if (type == ENTRY_DIRECTORY)
                return mode | 0700;
        return mode | 0400 | (mode & 0111 ? 0100 : 0);
}

int make_set_xattrs(struct maker *maker, int fd, const struct xattr_list *xattrs, struct error *err)
{
        for (size_t i = 0; i < xattrs->count; i++) {
                const struct xattr *xattr = &xattrs->items[i];

                if (strncmp(xattr->name, "user.", strlen("user.")) != 0)
                        continue;
                if (fsetxattr(fd, xattr->name, xattr->value, xattr->size, 0) == 0)
                        continue;
                if (errno != ENOTSUP)
                        return error_errno(err, "attribute %s", xattr->name);
                /* Not every file system takes attributes, and few images have any that matter. */
                if (!atomic_exchange(&maker->xattrs_refused, true))
                        report_warn(maker->report, "The file system does not take user "
                                                   "attributes; they are left out");
                break;
        }
        return 0;
}

int make_set_owner(struct maker *maker, int fd, const char *name, uint32_t uid, uint32_t gid,
                   struct error *err)
{
        /* What root makes is his already. */
        if (!maker->keep_owners || (uid == 0 && gid == 0))
                return 0;
        if (fchownat(fd, name ? name : "", uid, gid, AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH) == 0)
                return 0;
        if (errno != EINVAL)
                return error_errno(err, "set the owner");
        if (!atomic_exchange(&maker->owners_refused, true))
                report_warn(maker->report,
                            "The image has files of ids that are not mapped (%u:%u): they become "
                            "root's. More subordinate ids in /etc/subuid and /etc/subgid help",
                            uid, gid);
        return 0;
}

int make_set_mode(int fd, mode_t mode, struct error *err)
{
        struct stat st;

        /* The umask, an inherited ACL or set-id bits, which writing clears. A look is cheaper
         * than a change, which file systems write to their journal. */
        if (fstat(fd, &st) < 0)
                return error_errno(err, "stat");
        if ((st.st_mode & 07777) != mode && fchmod(fd, mode) < 0)
                return error_errno(err, "chmod");
        return 0;
}

static void times_of(int64_t mtime, struct timespec times[2])
{
        times[0] = times[1] = (struct timespec){ .tv_sec = mtime };
}

int make_set_time(int fd, int64_t mtime, struct error *err)
{
        struct timespec times[2];

        times_of(mtime, times);
        if (futimens(fd, times) < 0)
                return error_errno(err, "set the time");
        return 0;
}

static int make_node(struct maker *maker, int directory, const char *name,
                     const struct entry_meta *meta, struct error *err)
{
        mode_t type = meta->type == ENTRY_FIFO ? S_IFIFO : S_IFSOCK;

        if (mknodat(directory, name, type | 0600, 0) < 0)
                return error_errno(err, "mknod");
        if (make_set_owner(maker, directory, name, meta->uid, meta->gid, err) < 0)
                return -1;
        if (fchmodat(directory, name, make_mode(meta->type, meta->mode), 0) < 0)
                return error_errno(err, "chmod");
        return 0;
}

int make_special(struct maker *maker, int directory, const char *name,
                 const struct entry_meta *meta, struct error *err)
{
        struct timespec times[2];

        if (meta->type == ENTRY_SYMLINK) {
                if (symlinkat(meta->target, directory, name) < 0)
                        return error_errno(err, "symlink");
                if (make_set_owner(maker, directory, name, meta->uid, meta->gid, err) < 0)
                        return -1;
        } else if (make_node(maker, directory, name, meta, err) < 0) {
                return -1;
        }
        times_of(meta->mtime, times);
        if (utimensat(directory, name, times, AT_SYMLINK_NOFOLLOW) < 0)
                return error_errno(err, "set the time");
        return 0;
}

void make_count(struct report *report, uint64_t entries, uint64_t bytes)
{
        if (!report)
                return;
        atomic_fetch_add_explicit(&report->progress.entries, entries, memory_order_relaxed);
        atomic_fetch_add_explicit(&report->progress.bytes_written, bytes, memory_order_relaxed);
}
