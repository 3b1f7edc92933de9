/*
 * Where the changes to an image go: into memory, or into a directory that keeps them for
 * the next start. The directory holds "upper", the changes as overlayfs stores them, and
 * "work", its scratch space; whatever else is in it stays as it is.
 *
 * One start at a time has it: two overlays on one upper layer destroy it. The lock is an
 * flock on the directory that the image's server holds, because that ends just after
 * the last process of the container and after the overlay.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <time.h>
#include <unistd.h>

#include "runtime/container.h"
#include "util/path.h"

/* How long the last container that had the directory may take to end. */
#define LOCK_TRIES   400
#define LOCK_WAIT_NS (5 * 1000 * 1000)

#define MEMORY "tmpfs"

static bool is_size(const char *text)
{
        size_t digits = strspn(text, "0123456789");

        return digits > 0 && digits < 16 &&
               (text[digits] == '\0' ||
                (strchr("kKmMgGtT%", text[digits]) && text[digits + 1] == '\0'));
}

int runtime_overlay_parse(const char *word, struct runtime_overlay *ret, struct error *err)
{
        size_t length = strlen(MEMORY);

        *ret = (struct runtime_overlay){ .dir = NULL };
        if (!*word || strcmp(word, MEMORY) == 0)
                return 0;
        if (strncmp(word, MEMORY ":", length + 1) != 0) {
                ret->dir = word;
                return 0;
        }
        if (!is_size(word + length + 1))
                return error_set(err, EINVAL,
                                 "%s: a size is a number of bytes, with k, m, g or t "
                                 "behind it, or a percentage of the memory (tmpfs:4g, tmpfs:25%%)",
                                 word);
        ret->size = word + length + 1;
        return 0;
}

/* ---- the directory ---- */

/*
 * File systems that overlayfs refuses (ovl_mount_dir_check in fs/overlayfs/super.c: names
 * that may change on a server) or in which it cannot note that a file was removed.
 */
static const char *unfit_file_system(int fd)
{
        static const struct {
                unsigned long magic;
                const char *name;
        } unfit[] = {
                { 0x6969, "NFS" },        { 0x794c7630, "overlay" }, { 0x65735546, "FUSE" },
                { 0x0bd00bd0, "Lustre" }, { 0x47504653, "GPFS" },    { 0x19830326, "BeeGFS" },
                { 0xff534d42, "CIFS" },   { 0xfe534d42, "SMB" },     { 0x00c36400, "Ceph" },
                { 0x01021997, "9P" },     { 0x5346414f, "AFS" },     { 0x4d44, "FAT" },
                { 0x2011bab0, "exFAT" },
        };
        struct statfs st;

        if (fstatfs(fd, &st) < 0)
                return NULL;
        for (size_t i = 0; i < ARRAY_SIZE(unfit); i++)
                if (((unsigned long)st.f_type & 0xffffffffu) == unfit[i].magic)
                        return unfit[i].name;
        return NULL;
}

static int lock(int fd)
{
        const struct timespec pause = { .tv_nsec = LOCK_WAIT_NS };

        for (int i = 0; i < LOCK_TRIES; i++) {
                if (flock(fd, LOCK_EX | LOCK_NB) == 0)
                        return 0;
                if (errno != EWOULDBLOCK && errno != EINTR)
                        return -1;
                (void)nanosleep(&pause, NULL);
        }
        errno = EWOULDBLOCK;
        return -1;
}

static int make_part(int fd, const char *name, mode_t mode)
{
        if (mkdirat(fd, name, mode) < 0)
                return errno == EEXIST ? 0 : -1;
        /* upper gives the container's root its mode, whatever the user's umask. */
        return fchmodat(fd, name, mode, 0);
}

static int open_directory(const char *path, int *ret, struct error *err)
{
        auto_close int fd = -1;
        const char *unfit;

        if (path_make_private_dirs(path, 0700, err) < 0)
                return -1;
        fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (fd < 0)
                return error_errno(err, "%s", path);
        unfit = unfit_file_system(fd);
        if (unfit)
                return error_set(err, EOPNOTSUPP,
                                 "%s: a file system of type %s cannot hold the changes to an "
                                 "image; give a directory on a local disk, or \"tmpfs\" for "
                                 "changes in memory",
                                 path, unfit);
        if (lock(fd) < 0)
                return errno == EWOULDBLOCK
                               ? error_set(err, EBUSY,
                                           "%s: another container uses it; wait for its end, or "
                                           "give another directory",
                                           path)
                               : error_errno(err, "%s: lock", path);
        if (make_part(fd, "upper", 0755) < 0 || make_part(fd, "work", 0700) < 0)
                return error_errno(err, "%s", path);
        *ret = TAKE_FD(fd);
        return 0;
}

int writable_open(const struct runtime_overlay *overlay, int *ret, struct error *err)
{
        *ret = -1;
        if (overlay->dir && open_directory(overlay->dir, ret, err) < 0)
                return error_prefix(err, "overlay");
        return 0;
}

/* ---- mounting ---- */

/* The directory that was locked, in this mount namespace. */
static int bind_directory(const char *path, int layer_fd, const char *target, struct error *err)
{
        struct stat locked, mounted;

        if (mount(path, target, NULL, MS_BIND, NULL) < 0)
                return error_errno(err, "%s", path);
        if (fstat(layer_fd, &locked) < 0 || stat(target, &mounted) < 0)
                return error_errno(err, "%s", path);
        if (locked.st_dev != mounted.st_dev || locked.st_ino != mounted.st_ino)
                return error_set(err, EBUSY, "%s: it was replaced by something else", path);
        return 0;
}

int writable_mount_memory(const struct runtime_overlay *overlay, const char *source,
                          const char *target, mode_t mode, struct error *err)
{
        auto_free char *data = NULL;

        if (asprintf(&data, "mode=%o%s%s", mode, overlay->size ? ",size=" : "",
                     overlay->size ? overlay->size : "") < 0) {
                data = NULL;
                return error_no_memory(err);
        }
        return mount_at(source, target, "tmpfs", 0, data, err);
}

int writable_mount(const struct runtime_overlay *overlay, int layer_fd, const char *target,
                   struct error *err)
{
        auto_close int fd = -1;

        if (layer_fd >= 0)
                return bind_directory(overlay->dir, layer_fd, target, err);
        /* Without a size of its own, it is a part of the runtime directory's memory. */
        if (overlay->size && writable_mount_memory(overlay, "tmpfs", target, 0700, err) < 0)
                return -1;
        fd = open(target, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (fd < 0 || make_part(fd, "upper", 0755) < 0 || make_part(fd, "work", 0700) < 0)
                return error_errno(err, "%s", target);
        return 0;
}
