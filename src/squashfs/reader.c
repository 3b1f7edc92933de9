/*
 * Opening an image, and the calls of squashfs.h that concern one inode.
 *
 * Opening reads the super block, the head of the attribute table and the root
 * inode, and nothing else, however large the image is.
 */
#include "squashfs/image.h"

#include <assert.h>
#include <endian.h>
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <string.h>
#include <sys/stat.h>

#include <sqfs/xattr.h>

#include "squashfs/compressor.h"
#include "util/io.h"

/* The magic number as a machine of the other byte order writes it: images before 4.0. */
#define MAGIC_SWAPPED 0x68737173

int image_damaged(const struct squashfs_image *image, struct error *err, const char *fmt, ...)
{
        char detail[ERROR_MESSAGE_SIZE / 2];
        va_list args;

        va_start(args, fmt);
        (void)vsnprintf(detail, sizeof(detail), fmt, args);
        va_end(args);
        return error_set(err, EBADMSG, "%s: damaged image: %s", image->name, detail);
}

int image_pread(const struct squashfs_image *image, void *buffer, size_t size, uint64_t position,
                struct error *err)
{
        ssize_t count;

        if (position > image->super.bytes_used || size > image->super.bytes_used - position)
                return image_damaged(image, err, "refers to %zu bytes at %" PRIu64, size, position);
        count = io_pread_full(image->fd, buffer, size, image->base + position);
        if (count < 0)
                return error_errno(err, "%s: read at %" PRIu64, image->name, position);
        if ((size_t)count != size)
                return error_set(err, EBADMSG,
                                 "%s: ends at %" PRIu64 "; it was cut off while in use",
                                 image->name, position + (uint64_t)count);
        return 0;
}

int squashfs_probe(int fd, struct error *err)
{
        uint32_t magic = 0;
        ssize_t count = io_pread_full(fd, &magic, sizeof(magic), 0);

        if (count < 0)
                return error_errno(err, "read");
        return (size_t)count == sizeof(magic) && le32toh(magic) == SQFS_MAGIC;
}

int squashfs_identity(int fd, char ret[SQUASHFS_IDENTITY_SIZE], struct error *err)
{
        uint8_t super[sizeof(sqfs_super_t)];
        ssize_t count = io_pread_full(fd, super, sizeof(super), 0);
        uint32_t magic;

        static_assert(2 * sizeof(super) + 1 == SQUASHFS_IDENTITY_SIZE, "size of a super block");
        if (count < 0)
                return error_errno(err, "read");
        memcpy(&magic, super, sizeof(magic));
        if ((size_t)count != sizeof(super) || le32toh(magic) != SQFS_MAGIC)
                return error_set(err, EBADMSG, "this is not a squashfs image");
        for (size_t i = 0; i < sizeof(super); i++)
                (void)snprintf(ret + 2 * i, 3, "%02x", super[i]);
        return 0;
}

/* ---- opening ---- */

static void super_to_host(sqfs_super_t *super)
{
        super->magic = le32toh(super->magic);
        super->inode_count = le32toh(super->inode_count);
        super->modification_time = le32toh(super->modification_time);
        super->block_size = le32toh(super->block_size);
        super->fragment_entry_count = le32toh(super->fragment_entry_count);
        super->compression_id = le16toh(super->compression_id);
        super->block_log = le16toh(super->block_log);
        super->flags = le16toh(super->flags);
        super->id_count = le16toh(super->id_count);
        super->version_major = le16toh(super->version_major);
        super->version_minor = le16toh(super->version_minor);
        super->root_inode_ref = le64toh(super->root_inode_ref);
        super->bytes_used = le64toh(super->bytes_used);
        super->id_table_start = le64toh(super->id_table_start);
        super->xattr_id_table_start = le64toh(super->xattr_id_table_start);
        super->inode_table_start = le64toh(super->inode_table_start);
        super->directory_table_start = le64toh(super->directory_table_start);
        super->fragment_table_start = le64toh(super->fragment_table_start);
        super->export_table_start = le64toh(super->export_table_start);
}

static int check_length(const struct squashfs_image *image, struct error *err)
{
        struct stat st;

        if (fstat(image->fd, &st) < 0)
                return error_errno(err, "%s", image->name);
        /* A block device is longer than the image on it and has a size of 0 here. */
        if (!S_ISREG(st.st_mode) || (uint64_t)st.st_size >= image->base + image->super.bytes_used)
                return 0;
        return error_set(err, EBADMSG,
                         "%s: is shorter than it says (%jd of %" PRIu64
                         " bytes); a download or copy stopped half-way, get it again",
                         image->name, (intmax_t)st.st_size, image->base + image->super.bytes_used);
}

static int check_super(const struct squashfs_image *image, struct error *err)
{
        const sqfs_super_t *super = &image->super;

        if (super->block_size < SQFS_MIN_BLOCK_SIZE || super->block_size > SQFS_MAX_BLOCK_SIZE ||
            super->block_log >= 32 || super->block_size != UINT32_C(1) << super->block_log)
                return image_damaged(image, err, "block size %" PRIu32 " (2^%u)", super->block_size,
                                     super->block_log);
        if (super->bytes_used > INT64_MAX - image->base ||
            super->inode_table_start < sizeof(*super) ||
            super->inode_table_start >= super->directory_table_start ||
            super->directory_table_start >= super->bytes_used)
                return image_damaged(image, err, "its inodes and directories are outside");
        return 0;
}

static int read_super(struct squashfs_image *image, struct error *err)
{
        sqfs_super_t *super = &image->super;
        ssize_t count = io_pread_full(image->fd, super, sizeof(*super), image->base);

        if (count < 0)
                return error_errno(err, "%s: read", image->name);
        super_to_host(super);
        if ((size_t)count >= sizeof(super->magic) && super->magic == MAGIC_SWAPPED)
                return error_set(err, EOPNOTSUPP,
                                 "%s: is a big-endian squashfs image; make it again with squashfs "
                                 "tools 4.0 or later",
                                 image->name);
        if ((size_t)count < sizeof(super->magic) || super->magic != SQFS_MAGIC)
                return error_set(err, EBADMSG, "%s: is not a squashfs image", image->name);
        if ((size_t)count < sizeof(*super))
                return error_set(err, EBADMSG,
                                 "%s: is shorter than a squashfs super block; get it again",
                                 image->name);
        if (super->version_major != SQFS_VERSION_MAJOR ||
            super->version_minor != SQFS_VERSION_MINOR)
                return error_set(err, EOPNOTSUPP,
                                 "%s: is a squashfs image of version %u.%u; only 4.0 is read",
                                 image->name, super->version_major, super->version_minor);
        if (check_length(image, err) < 0)
                return -1;
        return check_super(image, err);
}

static int prepare_xattrs(struct squashfs_image *image, struct error *err)
{
        uint64_t start = image->super.xattr_id_table_start;
        sqfs_xattr_id_table_t head;

        if (start == NO_TABLE)
                return 0;
        if (image_pread(image, &head, sizeof(head), start, err) < 0)
                return -1;
        image->xattr_start = le64toh(head.xattr_table_start);
        if (image->xattr_start > image->super.bytes_used)
                return image_damaged(image, err, "its attributes are outside");
        return table_init(image, &image->xattrs, start + sizeof(head), le32toh(head.xattr_ids),
                          sizeof(sqfs_xattr_id_t), "attribute", err);
}

static int prepare_tables(struct squashfs_image *image, struct error *err)
{
        const sqfs_super_t *super = &image->super;

        if (table_init(image, &image->ids, super->id_table_start, super->id_count, sizeof(uint32_t),
                       "id", err) < 0 ||
            table_init(image, &image->fragments, super->fragment_table_start,
                       super->fragment_entry_count, sizeof(sqfs_fragment_t), "fragment", err) < 0)
                return -1;
        return prepare_xattrs(image, err);
}

static int prepare_caches(struct squashfs_image *image, struct error *err)
{
        const sqfs_super_t *super = &image->super;

        if (compressor_config_to_read(super->compression_id, super->block_size, &image->compressor,
                                      err) < 0)
                return error_prefix(err, "%s", image->name);
        if (decompressor_check(image, err) < 0)
                return -1;
        image->metadata = block_cache_new(SQFS_META_BLOCK_SIZE, METADATA_CACHE_SIZE,
                                          load_metadata_block, image, err);
        if (!image->metadata)
                return -1;
        image->data =
                block_cache_new(super->block_size, DATA_CACHE_SIZE, load_data_block, image, err);
        return image->data ? 0 : -1;
}

static int check_root(struct squashfs_image *image, struct error *err)
{
        struct inode root;

        if (inode_load(image, image->super.root_inode_ref, &root, err) < 0)
                return -1;
        if (root.type != ENTRY_DIRECTORY)
                return image_damaged(image, err, "its root is not a directory");
        return 0;
}

struct squashfs_image *squashfs_open_at(int fd, uint64_t base, const char *name, struct error *err)
{
        auto_squashfs_image struct squashfs_image *image = calloc(1, sizeof(*image));

        if (!image) {
                error_no_memory(err);
                return NULL;
        }
        pthread_mutex_init(&image->lock, NULL);
        image->fd = fd;
        image->base = base;
        image->name = strdup(name);
        if (!image->name) {
                error_no_memory(err);
                return NULL;
        }
        if (read_super(image, err) < 0 || prepare_tables(image, err) < 0 ||
            prepare_caches(image, err) < 0 || check_root(image, err) < 0)
                return NULL;
        return TAKE_PTR(image);
}

struct squashfs_image *squashfs_open(int fd, const char *name, struct error *err)
{
        return squashfs_open_at(fd, 0, name, err);
}

const char *squashfs_compression(const struct squashfs_image *image)
{
        return compressor_name(image->super.compression_id);
}

void squashfs_close(struct squashfs_image *image)
{
        block_cache_free(image->data);
        block_cache_free(image->metadata);
        decompressors_free(image);
        table_release(&image->ids);
        table_release(&image->fragments);
        table_release(&image->xattrs);
        pthread_mutex_destroy(&image->lock);
        free(image->name);
        free(image);
}

/* ---- one inode ---- */

squashfs_ref squashfs_root(const struct squashfs_image *image)
{
        return image->super.root_inode_ref;
}

int squashfs_read_id(struct squashfs_image *image, uint16_t index, uint32_t *ret, struct error *err)
{
        uint32_t id;

        if (table_read(image, &image->ids, index, &id, err) < 0)
                return -1;
        *ret = le32toh(id);
        return 0;
}

int squashfs_stat(struct squashfs_image *image, squashfs_ref ref, struct squashfs_stat *ret,
                  struct error *err)
{
        struct squashfs_stat stat = { .position = 0 };
        struct inode inode;

        if (inode_load(image, ref, &inode, err) < 0 ||
            squashfs_read_id(image, inode.uid_index, &stat.meta.uid, err) < 0 ||
            squashfs_read_id(image, inode.gid_index, &stat.meta.gid, err) < 0)
                return -1;
        stat.meta.type = inode.type;
        stat.meta.mode = inode.mode;
        stat.meta.mtime = inode.mtime;
        stat.inode = inode.number;
        stat.links = inode.links;
        stat.has_xattrs = inode.xattr_index != NO_XATTRS;
        if (inode.type == ENTRY_FILE) {
                stat.meta.size = inode.file.size;
                if (file_position(image, &inode, &stat.position, err) < 0)
                        return -1;
        } else if (inode.type == ENTRY_CHAR_DEVICE || inode.type == ENTRY_BLOCK_DEVICE) {
                stat.meta.rdev = inode.device;
        }
        *ret = stat;
        return 0;
}

char *squashfs_readlink(struct squashfs_image *image, squashfs_ref ref, struct error *err)
{
        struct inode inode;

        if (inode_load(image, ref, &inode, err) < 0)
                return NULL;
        return inode_link_text(image, &inode, err);
}

int squashfs_xattrs(struct squashfs_image *image, squashfs_ref ref, struct xattr_list *ret,
                    struct error *err)
{
        struct inode inode;

        if (inode_load(image, ref, &inode, err) < 0)
                return -1;
        return inode_xattrs(image, &inode, ret, err);
}

int squashfs_list(struct squashfs_image *image, squashfs_ref dir, uint64_t start,
                  int (*visit)(const struct squashfs_dirent *entry, void *context,
                               struct error *err),
                  void *context, struct error *err)
{
        struct inode inode;

        if (inode_load(image, dir, &inode, err) < 0)
                return -1;
        return directory_list(image, &inode, start, visit, context, err);
}

int squashfs_lookup(struct squashfs_image *image, squashfs_ref dir, const char *name,
                    squashfs_ref *ret, struct error *err)
{
        struct inode inode;

        if (inode_load(image, dir, &inode, err) < 0)
                return -1;
        return directory_lookup(image, &inode, name, ret, err);
}
