/* Decoding inodes. Every size that a later step relies on is checked here. */
#include "squashfs/image.h"

#include <endian.h>
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <string.h>
#include <sys/sysmacros.h>

#include <sqfs/inode.h>

/* The shortest metadata block on disk: a header and one byte. */
#define METADATA_ON_DISK_MIN 3

static int decode_file_sizes(struct meta_cursor *cursor, struct inode *inode, struct error *err)
{
        struct squashfs_image *image = cursor->image;
        uint32_t block_size = image->super.block_size;
        uint64_t metadata_max, tail = inode->file.size % block_size;

        if (inode->file.size > INT64_MAX || inode->file.start > image->super.bytes_used)
                return image_damaged(image, err,
                                     "inode %" PRIu32 " has a size of %" PRIu64
                                     " and begins at %" PRIu64,
                                     inode->number, inode->file.size, inode->file.start);

        inode->file.block_count = inode->file.size / block_size;
        if (tail == 0)
                inode->file.fragment = NO_FRAGMENT;
        else if (inode->file.fragment == NO_FRAGMENT)
                inode->file.block_count++;
        else if (inode->file.fragment_offset > block_size ||
                 tail > block_size - inode->file.fragment_offset)
                return image_damaged(image, err, "inode %" PRIu32 " leaves its fragment",
                                     inode->number);

        /* A list longer than the image can hold is refused before anybody walks it. */
        inode->file.list = meta_tell(cursor);
        metadata_max = (image->super.bytes_used - inode->file.list.block) / METADATA_ON_DISK_MIN *
                       SQFS_META_BLOCK_SIZE;
        if (inode->file.block_count > metadata_max / sizeof(uint32_t))
                return image_damaged(image, err, "inode %" PRIu32 " has %" PRIu64 " blocks",
                                     inode->number, inode->file.block_count);
        return 0;
}

static int decode_file(struct meta_cursor *cursor, struct inode *inode, struct error *err)
{
        sqfs_inode_file_t raw;

        if (meta_read(cursor, &raw, sizeof(raw), err) < 0)
                return -1;
        inode->links = 1;
        inode->file.size = le32toh(raw.file_size);
        inode->file.start = le32toh(raw.blocks_start);
        inode->file.fragment = le32toh(raw.fragment_index);
        inode->file.fragment_offset = le32toh(raw.fragment_offset);
        return decode_file_sizes(cursor, inode, err);
}

static int decode_extended_file(struct meta_cursor *cursor, struct inode *inode, struct error *err)
{
        sqfs_inode_file_ext_t raw;

        if (meta_read(cursor, &raw, sizeof(raw), err) < 0)
                return -1;
        inode->links = le32toh(raw.nlink);
        inode->xattr_index = le32toh(raw.xattr_idx);
        inode->file.size = le64toh(raw.file_size);
        inode->file.start = le64toh(raw.blocks_start);
        inode->file.fragment = le32toh(raw.fragment_idx);
        inode->file.fragment_offset = le32toh(raw.fragment_offset);
        return decode_file_sizes(cursor, inode, err);
}

static void set_listing(const struct squashfs_image *image, struct inode *inode, uint32_t size,
                        uint32_t block, uint16_t offset)
{
        inode->directory.size = size < DIRECTORY_SIZE_BIAS ? 0 : size - DIRECTORY_SIZE_BIAS;
        inode->directory.listing.block = image->super.directory_table_start + block;
        inode->directory.listing.offset = offset;
}

static int decode_directory(struct meta_cursor *cursor, struct inode *inode, struct error *err)
{
        sqfs_inode_dir_t raw;

        if (meta_read(cursor, &raw, sizeof(raw), err) < 0)
                return -1;
        inode->links = le32toh(raw.nlink);
        inode->directory.parent = le32toh(raw.parent_inode);
        inode->directory.index_count = 0;
        set_listing(cursor->image, inode, le16toh(raw.size), le32toh(raw.start_block),
                    le16toh(raw.offset));
        return 0;
}

static int decode_extended_directory(struct meta_cursor *cursor, struct inode *inode,
                                     struct error *err)
{
        sqfs_inode_dir_ext_t raw;

        if (meta_read(cursor, &raw, sizeof(raw), err) < 0)
                return -1;
        inode->links = le32toh(raw.nlink);
        inode->xattr_index = le32toh(raw.xattr_idx);
        inode->directory.parent = le32toh(raw.parent_inode);
        inode->directory.index_count = le16toh(raw.inodex_count);
        inode->directory.index = meta_tell(cursor);
        set_listing(cursor->image, inode, le32toh(raw.size), le32toh(raw.start_block),
                    le16toh(raw.offset));
        return 0;
}

static int decode_symlink(struct meta_cursor *cursor, struct inode *inode, bool extended,
                          struct error *err)
{
        sqfs_inode_slink_t raw;
        uint32_t xattr_index;

        if (meta_read(cursor, &raw, sizeof(raw), err) < 0)
                return -1;
        inode->links = le32toh(raw.nlink);
        inode->symlink.size = le32toh(raw.target_size);
        inode->symlink.text = meta_tell(cursor);
        if (inode->symlink.size == 0 || inode->symlink.size >= PATH_MAX)
                return image_damaged(cursor->image, err,
                                     "the link of inode %" PRIu32 " has a length of %" PRIu32,
                                     inode->number, inode->symlink.size);
        if (!extended)
                return 0;
        if (meta_skip(cursor, inode->symlink.size, err) < 0 ||
            meta_read(cursor, &xattr_index, sizeof(xattr_index), err) < 0)
                return -1;
        inode->xattr_index = le32toh(xattr_index);
        return 0;
}

/* As the kernel's new_decode_dev: 12 bits of major number among 20 bits of minor number. */
static dev_t device_number(uint32_t number)
{
        return makedev((number & 0xfff00) >> 8, (number & 0xff) | ((number >> 12) & 0xfff00));
}

static int decode_device(struct meta_cursor *cursor, struct inode *inode, bool extended,
                         struct error *err)
{
        sqfs_inode_dev_ext_t raw = { .xattr_idx = htole32(NO_XATTRS) };

        if (meta_read(cursor, &raw, extended ? sizeof(raw) : sizeof(sqfs_inode_dev_t), err) < 0)
                return -1;
        inode->links = le32toh(raw.nlink);
        inode->device = device_number(le32toh(raw.devno));
        inode->xattr_index = le32toh(raw.xattr_idx);
        return 0;
}

static int decode_ipc(struct meta_cursor *cursor, struct inode *inode, bool extended,
                      struct error *err)
{
        sqfs_inode_ipc_ext_t raw = { .xattr_idx = htole32(NO_XATTRS) };

        if (meta_read(cursor, &raw, extended ? sizeof(raw) : sizeof(sqfs_inode_ipc_t), err) < 0)
                return -1;
        inode->links = le32toh(raw.nlink);
        inode->xattr_index = le32toh(raw.xattr_idx);
        return 0;
}

static int decode_by_type(struct meta_cursor *cursor, struct inode *inode, uint16_t type,
                          struct error *err)
{
        switch (type) {
        case SQFS_INODE_FILE:
                inode->type = ENTRY_FILE;
                return decode_file(cursor, inode, err);
        case SQFS_INODE_EXT_FILE:
                inode->type = ENTRY_FILE;
                return decode_extended_file(cursor, inode, err);
        case SQFS_INODE_DIR:
                inode->type = ENTRY_DIRECTORY;
                return decode_directory(cursor, inode, err);
        case SQFS_INODE_EXT_DIR:
                inode->type = ENTRY_DIRECTORY;
                return decode_extended_directory(cursor, inode, err);
        case SQFS_INODE_SLINK:
        case SQFS_INODE_EXT_SLINK:
                inode->type = ENTRY_SYMLINK;
                return decode_symlink(cursor, inode, type == SQFS_INODE_EXT_SLINK, err);
        case SQFS_INODE_BDEV:
        case SQFS_INODE_EXT_BDEV:
                inode->type = ENTRY_BLOCK_DEVICE;
                return decode_device(cursor, inode, type == SQFS_INODE_EXT_BDEV, err);
        case SQFS_INODE_CDEV:
        case SQFS_INODE_EXT_CDEV:
                inode->type = ENTRY_CHAR_DEVICE;
                return decode_device(cursor, inode, type == SQFS_INODE_EXT_CDEV, err);
        case SQFS_INODE_FIFO:
        case SQFS_INODE_EXT_FIFO:
                inode->type = ENTRY_FIFO;
                return decode_ipc(cursor, inode, type == SQFS_INODE_EXT_FIFO, err);
        case SQFS_INODE_SOCKET:
        case SQFS_INODE_EXT_SOCKET:
                inode->type = ENTRY_SOCKET;
                return decode_ipc(cursor, inode, type == SQFS_INODE_EXT_SOCKET, err);
        default:
                return image_damaged(cursor->image, err, "inode %" PRIu32 " is of type %u",
                                     inode->number, type);
        }
}

int inode_read(struct meta_cursor *cursor, squashfs_ref ref, struct inode *ret, struct error *err)
{
        const sqfs_super_t *super = &cursor->image->super;
        struct meta_position position = meta_position_of(ref, super->inode_table_start);
        sqfs_inode_t raw;

        if (ref >> 48 || position.block >= super->directory_table_start)
                return image_damaged(cursor->image, err, "refers to inode %" PRIx64, ref);
        if (meta_seek(cursor, position, err) < 0 || meta_read(cursor, &raw, sizeof(raw), err) < 0)
                return -1;
        ret->ref = ref;
        ret->mode = le16toh(raw.mode) & 07777;
        ret->uid_index = le16toh(raw.uid_idx);
        ret->gid_index = le16toh(raw.gid_idx);
        ret->mtime = le32toh(raw.mod_time);
        ret->number = le32toh(raw.inode_number);
        ret->xattr_index = NO_XATTRS;
        return decode_by_type(cursor, ret, le16toh(raw.type), err);
}

int inode_load(struct squashfs_image *image, squashfs_ref ref, struct inode *ret, struct error *err)
{
        auto_meta_cursor struct meta_cursor cursor = META_CURSOR_INIT(image);

        return inode_read(&cursor, ref, ret, err);
}

char *inode_link_text(struct squashfs_image *image, const struct inode *inode, struct error *err)
{
        auto_meta_cursor struct meta_cursor cursor = META_CURSOR_INIT(image);
        auto_free char *text = NULL;

        if (inode->type != ENTRY_SYMLINK) {
                error_set(err, EINVAL, "%s: inode %" PRIu32 " is no symbolic link", image->name,
                          inode->number);
                return NULL;
        }
        text = malloc((size_t)inode->symlink.size + 1);
        if (!text) {
                error_no_memory(err);
                return NULL;
        }
        if (meta_seek(&cursor, inode->symlink.text, err) < 0 ||
            meta_read(&cursor, text, inode->symlink.size, err) < 0)
                return NULL;
        text[inode->symlink.size] = '\0';
        if (strlen(text) != inode->symlink.size) {
                image_damaged(image, err, "the link of inode %" PRIu32 " holds a NUL byte",
                              inode->number);
                return NULL;
        }
        return TAKE_PTR(text);
}
