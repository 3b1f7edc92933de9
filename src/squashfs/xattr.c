/*
 * Extended attributes. An inode refers to a descriptor, which refers to the first
 * of its pairs of key and value; equal values may be stored once and referred to.
 */
#include "squashfs/image.h"

#include <endian.h>
#include <errno.h>
#include <inttypes.h>
#include <linux/limits.h>
#include <linux/xattr.h>
#include <string.h>

#include <sqfs/xattr.h>

/* More than any file system of Linux lets a file have. */
#define XATTRS_COUNT_MAX 4096
#define XATTRS_BYTES_MAX (1 << 20)

/* Distribution images have a handful of sets, of security.capability. */
#define XATTR_SETS_EXAMINED 64

/* Read the key into name (XATTR_NAME_MAX + 1 bytes). Returns 0, or -1 with *err. */
static int read_key(struct meta_cursor *cursor, char *name, uint16_t *ret_type, struct error *err)
{
        static const char *const prefixes[] = {
                [SQFS_XATTR_USER] = "user.",
                [SQFS_XATTR_TRUSTED] = "trusted.",
                [SQFS_XATTR_SECURITY] = "security.",
        };
        sqfs_xattr_entry_t raw;
        const char *prefix;
        size_t prefix_size, size;
        unsigned int space;

        if (meta_read(cursor, &raw, sizeof(raw), err) < 0)
                return -1;
        *ret_type = le16toh(raw.type);
        size = le16toh(raw.size);
        space = *ret_type & SQFS_XATTR_PREFIX_MASK;
        if (space >= ARRAY_SIZE(prefixes))
                return image_damaged(cursor->image, err, "an attribute is of no known type");
        prefix = prefixes[space];
        prefix_size = strlen(prefix);
        if (size == 0 || prefix_size + size > XATTR_NAME_MAX)
                return image_damaged(cursor->image, err, "an attribute's name has a length of %zu",
                                     size);
        memcpy(name, prefix, prefix_size);
        if (meta_read(cursor, name + prefix_size, size, err) < 0)
                return -1;
        name[prefix_size + size] = '\0';
        return 0;
}

/* Read length and value; value has room for XATTR_SIZE_MAX bytes. */
static int read_value(struct meta_cursor *cursor, void *value, uint32_t *ret_size,
                      struct error *err)
{
        uint32_t size;

        if (meta_read(cursor, &size, sizeof(size), err) < 0)
                return -1;
        size = le32toh(size);
        if (size > XATTR_SIZE_MAX)
                return image_damaged(cursor->image, err, "an attribute has a length of %" PRIu32,
                                     size);
        *ret_size = size;
        return meta_read(cursor, value, size, err);
}

/* A value stored elsewhere: in its place is the reference to it. */
static int read_distant_value(struct meta_cursor *cursor, void *value, uint32_t *ret_size,
                              struct error *err)
{
        struct squashfs_image *image = cursor->image;
        auto_meta_cursor struct meta_cursor distant = META_CURSOR_INIT(image);
        uint64_t reference;
        uint32_t size;

        if (meta_read(cursor, &size, sizeof(size), err) < 0)
                return -1;
        if (le32toh(size) != sizeof(reference))
                return image_damaged(image, err,
                                     "a reference to an attribute has %" PRIu32 " bytes",
                                     le32toh(size));
        if (meta_read(cursor, &reference, sizeof(reference), err) < 0 ||
            meta_seek(&distant, meta_position_of(le64toh(reference), image->xattr_start), err) < 0)
                return -1;
        return read_value(&distant, value, ret_size, err);
}

static int read_pairs(struct meta_cursor *cursor, uint32_t count, void *value,
                      struct xattr_list *list, struct error *err)
{
        char name[XATTR_NAME_MAX + 1];
        size_t total = 0;

        for (uint32_t i = 0; i < count; i++) {
                uint32_t size = 0;
                uint16_t type = 0;

                if (read_key(cursor, name, &type, err) < 0)
                        return -1;
                if ((type & SQFS_XATTR_FLAG_OOL ? read_distant_value(cursor, value, &size, err)
                                                : read_value(cursor, value, &size, err)) < 0)
                        return -1;
                total += strlen(name) + size;
                if (total > XATTRS_BYTES_MAX)
                        return image_damaged(cursor->image, err,
                                             "the attributes of a file are over %d bytes",
                                             XATTRS_BYTES_MAX);
                if (xattr_list_set(list, name, value, size) < 0)
                        return error_no_memory(err);
        }
        return 0;
}

static int read_set(struct squashfs_image *image, uint32_t index, struct xattr_list *ret,
                    struct error *err)
{
        auto_meta_cursor struct meta_cursor cursor = META_CURSOR_INIT(image);
        auto_free void *value = NULL;
        sqfs_xattr_id_t descriptor;
        uint32_t count;

        if (table_read(image, &image->xattrs, index, &descriptor, err) < 0)
                return -1;
        count = le32toh(descriptor.count);
        if (count > XATTRS_COUNT_MAX)
                return image_damaged(image, err, "a file has %" PRIu32 " attributes", count);
        value = malloc(XATTR_SIZE_MAX);
        if (!value)
                return error_no_memory(err);
        if (meta_seek(&cursor, meta_position_of(le64toh(descriptor.xattr), image->xattr_start),
                      err) < 0)
                return -1;
        return read_pairs(&cursor, count, value, ret, err);
}

int inode_xattrs(struct squashfs_image *image, const struct inode *inode, struct xattr_list *ret,
                 struct error *err)
{
        if (inode->xattr_index == NO_XATTRS)
                return 0;
        return read_set(image, inode->xattr_index, ret, err);
}

/* ---- whether there is anything to ask for ---- */

bool xattr_is_user(const char *name)
{
        return strncmp(name, XATTR_USER_PREFIX, strlen(XATTR_USER_PREFIX)) == 0;
}

static bool set_has_user_xattrs(struct squashfs_image *image, uint32_t index)
{
        auto_cleanup(entry_meta_release) struct entry_meta meta = { .target = NULL };
        struct error err = ERROR_INIT;

        /* What cannot be read is somebody else's to report. */
        if (read_set(image, index, &meta.xattrs, &err) < 0)
                return true;
        for (size_t i = 0; i < meta.xattrs.count; i++) {
                if (xattr_is_user(meta.xattrs.items[i].name))
                        return true;
        }
        return false;
}

bool image_has_user_xattrs(struct squashfs_image *image)
{
        if (image->xattrs.count > XATTR_SETS_EXAMINED)
                return true;
        for (uint32_t i = 0; i < image->xattrs.count; i++) {
                if (set_has_user_xattrs(image, i))
                        return true;
        }
        return false;
}
