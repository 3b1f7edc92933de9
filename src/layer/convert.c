#include "layer/convert.h"

#include <errno.h>
#include <limits.h>
#include <linux/limits.h>
#include <string.h>

#include "util/cleanup.h"
#include "util/path.h"

/* A name before it is normalised; pax records may have 1 MB, all of it "../". */
#define RAW_PATH_MAX (16 * PATH_MAX)

/* The most attributes of one file. The kernel lists no more than 64 KiB of names. */
#define XATTRS_MAX 512

static int set_path(const char *raw, char **ret, struct error *err)
{
        auto_strbuf struct strbuf path = STRBUF_INIT;

        if (!raw)
                return error_set(err, EBADMSG, "a tar header without a name");
        if (strlen(raw) > RAW_PATH_MAX)
                return error_set(err, ENAMETOOLONG, "a name of more than %d bytes: %s",
                                 RAW_PATH_MAX, raw);
        if (path_normalize(raw, &path) < 0)
                return path.failed ? error_no_memory(err)
                                   : error_set(err, ENAMETOOLONG,
                                               "a name of more than %d bytes: %s", NAME_MAX, raw);
        *ret = path.data ? strbuf_take(&path) : strdup("");
        return *ret ? 0 : error_no_memory(err);
}

static int set_xattrs(const struct archive_functions *lib, struct archive_entry *header,
                      struct entry *entry, struct error *err)
{
        struct xattr_list *xattrs = &entry->meta.xattrs;
        const char *name;
        const void *value;
        size_t size;

        lib->entry_xattr_reset(header);
        while (lib->entry_xattr_next(header, &name, &value, &size) == ARCHIVE_OK) {
                /* The last record of a name counts, and libarchive lists it first. */
                if (!xattr_is_kept(name) || xattr_list_find(xattrs, name))
                        continue;
                if (strlen(name) > XATTR_NAME_MAX || size > XATTR_SIZE_MAX)
                        return error_set(err, E2BIG,
                                         "%s: the extended attribute %.255s is larger than "
                                         "Linux allows",
                                         entry->path, name);
                if (xattrs->count == XATTRS_MAX)
                        return error_set(err, E2BIG, "%s: more than %d extended attributes",
                                         entry->path, XATTRS_MAX);
                if (xattr_list_set(xattrs, name, value, size) < 0)
                        return error_no_memory(err);
        }
        return 0;
}

static int set_owner(const struct archive_functions *lib, struct archive_entry *header,
                     struct entry *entry, struct error *err)
{
        int64_t uid = lib->entry_uid(header), gid = lib->entry_gid(header);

        /* The largest value means "no id" to the kernel. */
        if (uid < 0 || uid >= UINT32_MAX || gid < 0 || gid >= UINT32_MAX)
                return error_set(err, EBADMSG, "%s: its owner %jd:%jd cannot exist on Linux",
                                 entry->path, (intmax_t)uid, (intmax_t)gid);
        entry->meta.uid = (uint32_t)uid;
        entry->meta.gid = (uint32_t)gid;
        return 0;
}

static bool ends_with_slash(const char *path)
{
        size_t length = strlen(path);

        return length > 0 && path[length - 1] == '/';
}

static int set_file(const struct archive_functions *lib, struct archive_entry *header,
                    struct entry *entry, struct error *err)
{
        int64_t size = lib->entry_size(header);

        /* As in the oldest archives. libarchive does this for names that it could convert. */
        if (ends_with_slash(lib->entry_pathname(header))) {
                entry->meta.type = ENTRY_DIRECTORY;
                return 1;
        }
        if (size < 0)
                return error_set(err, EBADMSG, "%s: a negative size", entry->path);
        entry->meta.type = ENTRY_FILE;
        entry->meta.size = (uint64_t)size;
        return 1;
}

static int set_symlink(const char *target, struct entry *entry, struct error *err)
{
        entry->meta.type = ENTRY_SYMLINK;
        entry->meta.target = strdup(target ? target : "");
        return entry->meta.target ? 1 : error_no_memory(err);
}

/* The type and what goes with it. Returns 1, 0 to leave the entry out, -1 with *err. */
static int set_type(const struct archive_functions *lib, struct archive_entry *header,
                    struct entry *entry, struct error *err)
{
        const char *hard_link = lib->entry_hardlink(header);

        if (hard_link) {
                entry->meta.type = ENTRY_HARDLINK;
                if (set_path(hard_link, &entry->meta.target, err) < 0)
                        return error_prefix(err, "hard link %s", entry->path);
                return 1;
        }
        switch (lib->entry_filetype(header)) {
        case AE_IFREG:
                return set_file(lib, header, entry, err);
        case AE_IFLNK:
                return set_symlink(lib->entry_symlink(header), entry, err);
        case AE_IFDIR:
                entry->meta.type = ENTRY_DIRECTORY;
                return 1;
        case AE_IFIFO:
                entry->meta.type = ENTRY_FIFO;
                return 1;
        default:
                return 0;
        }
}

int convert_header(const struct archive_functions *lib, struct archive_entry *header,
                   struct entry *entry, struct error *err)
{
        int result;

        *entry = (struct entry){ .path = NULL };
        if (set_path(lib->entry_pathname(header), &entry->path, err) < 0)
                return -1;
        result = set_type(lib, header, entry, err);
        if (result <= 0)
                return result;
        entry->meta.mode = (uint16_t)(lib->entry_perm(header) & 07777);
        entry->meta.mtime = lib->entry_mtime(header);
        if (set_owner(lib, header, entry, err) < 0 || set_xattrs(lib, header, entry, err) < 0)
                return -1;
        return 1;
}
