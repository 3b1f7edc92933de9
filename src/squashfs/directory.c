/*
 * Directories: a listing is a run of headers, each followed by up to 256 names
 * whose inodes are in one metadata block. Large directories have an index that
 * says which name and which byte a metadata block of the listing begins with.
 */
#include "squashfs/image.h"

#include <endian.h>
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include <sqfs/dir.h>
#include <sqfs/inode.h>

#define NAME_SIZE_MAX 256 /* fs/squashfs/squashfs_fs.h: SQUASHFS_NAME_LEN */

/* Layout of a resume position; see pack_position. */
#define POSITION_HEADER_BITS 20
#define POSITION_LEFT_SHIFT  (32 + POSITION_HEADER_BITS)

struct name {
        uint32_t size;
        char text[NAME_SIZE_MAX + 1];
};

struct walk {
        struct squashfs_image *image;
        const struct inode *inode;
        struct meta_cursor cursor;
        uint32_t position;        /* bytes of the listing before the cursor */
        uint32_t header_position; /* of the header in force */
        uint32_t left;            /* names that still belong to it */
        uint32_t inode_block, inode_number;
        bool has_name; /* name is the one before, for the order check */
        struct name name;
};

static void walk_release(struct walk *walk)
{
        meta_release(&walk->cursor);
}
#define auto_walk auto_cleanup(walk_release)

static int damaged(const struct walk *walk, struct error *err, const char *what)
{
        return image_damaged(walk->image, err, "directory %" PRIu32 ": %s", walk->inode->number,
                             what);
}

static int walk_init(struct walk *walk, struct squashfs_image *image, const struct inode *inode,
                     struct error *err)
{
        walk->image = image;
        walk->inode = inode;
        if (inode->type != ENTRY_DIRECTORY)
                return error_set(err, ENOTDIR, "%s: inode %" PRIu32 " is no directory", image->name,
                                 inode->number);
        return 0;
}

/* ---- the index ---- */

struct index_entry {
        uint32_t position; /* in the listing, where the metadata block begins */
        uint32_t block;
        struct name name;
};

static int read_index_entry(const struct walk *walk, struct meta_cursor *cursor,
                            struct index_entry *ret, struct error *err)
{
        sqfs_dir_index_t raw;

        if (meta_read(cursor, &raw, sizeof(raw), err) < 0)
                return -1;
        ret->position = le32toh(raw.index);
        ret->block = le32toh(raw.start_block);
        if (le32toh(raw.size) >= NAME_SIZE_MAX)
                return damaged(walk, err, "a name of the index is too long");
        ret->name.size = le32toh(raw.size) + 1;
        return meta_read(cursor, ret->name.text, ret->name.size, err);
}

static int compare(const struct name *a, const char *text, size_t size)
{
        int order = memcmp(a->text, text, a->size < size ? a->size : size);

        if (order == 0 && a->size != size)
                return a->size < size ? -1 : 1;
        return order;
}

/*
 * Go to the header that the listing must be read from: to find name, or, when
 * name is NULL, to come to the byte target.
 */
static int walk_seek(struct walk *walk, const char *name, uint32_t target, struct error *err)
{
        auto_meta_cursor struct meta_cursor cursor = META_CURSOR_INIT(walk->image);
        const struct inode *inode = walk->inode;
        struct meta_position start = inode->directory.listing;
        size_t name_size = name ? strlen(name) : 0;

        walk->position = 0;
        if (inode->directory.index_count > 0 && meta_seek(&cursor, inode->directory.index, err) < 0)
                return -1;
        for (uint32_t i = 0; i < inode->directory.index_count; i++) {
                struct index_entry entry;

                if (read_index_entry(walk, &cursor, &entry, err) < 0)
                        return -1;
                if (name ? compare(&entry.name, name, name_size) > 0 : entry.position > target)
                        break;
                if (entry.position < walk->position || entry.position > inode->directory.size)
                        return damaged(walk, err, "its index is not in order");
                walk->position = entry.position;
                start.block = walk->image->super.directory_table_start + entry.block;
                start.offset =
                        (inode->directory.listing.offset + entry.position) % SQFS_META_BLOCK_SIZE;
        }
        walk->left = 0;
        if (meta_seek(&walk->cursor, start, err) < 0)
                return -1;
        if (name || target <= walk->position)
                return 0;
        if (meta_skip(&walk->cursor, target - walk->position, err) < 0)
                return -1;
        walk->position = target;
        return 0;
}

/* ---- names ---- */

static int read_listing(struct walk *walk, void *buffer, uint32_t size, struct error *err)
{
        if (size > walk->inode->directory.size - walk->position)
                return damaged(walk, err, "its listing ends inside an entry");
        if (meta_read(&walk->cursor, buffer, size, err) < 0)
                return -1;
        walk->position += size;
        return 0;
}

static int read_header(struct walk *walk, struct error *err)
{
        sqfs_dir_header_t raw;

        walk->header_position = walk->position;
        if (read_listing(walk, &raw, sizeof(raw), err) < 0)
                return -1;
        if (le32toh(raw.count) >= SQFS_MAX_DIR_ENT)
                return damaged(walk, err, "a header has too many entries");
        walk->left = le32toh(raw.count) + 1;
        walk->inode_block = le32toh(raw.start_block);
        walk->inode_number = le32toh(raw.inode_number);
        return 0;
}

static int entry_type_of(uint16_t type, enum entry_type *ret)
{
        static const enum entry_type types[] = {
                [SQFS_INODE_DIR] = ENTRY_DIRECTORY,    [SQFS_INODE_FILE] = ENTRY_FILE,
                [SQFS_INODE_SLINK] = ENTRY_SYMLINK,    [SQFS_INODE_BDEV] = ENTRY_BLOCK_DEVICE,
                [SQFS_INODE_CDEV] = ENTRY_CHAR_DEVICE, [SQFS_INODE_FIFO] = ENTRY_FIFO,
                [SQFS_INODE_SOCKET] = ENTRY_SOCKET,
        };

        if (type < SQFS_INODE_DIR || type > SQFS_INODE_SOCKET)
                return -1;
        *ret = types[type];
        return 0;
}

/*
 * Names come from strangers: none may lead elsewhere (CVE-2021-40153), and none
 * may come twice (CVE-2021-41072), which the order that the format demands rules out.
 */
static int check_name(const struct walk *walk, const struct name *name, struct error *err)
{
        const char *text = name->text;

        if (memchr(text, '/', name->size) || memchr(text, '\0', name->size))
                return damaged(walk, err, "a name holds a slash or a NUL byte");
        if ((name->size == 1 && text[0] == '.') || (name->size == 2 && memcmp(text, "..", 2) == 0))
                return damaged(walk, err, "a name is \".\" or \"..\"");
        if (walk->has_name && compare(&walk->name, text, name->size) >= 0)
                return damaged(walk, err, "its names are not in order or come twice");
        return 0;
}

/* Where squashfs_list goes on: the next entry, its header, and the names left of it. */
static uint64_t pack_position(const struct walk *walk)
{
        return walk->position | (uint64_t)(walk->position - walk->header_position) << 32 |
               (uint64_t)walk->left << POSITION_LEFT_SHIFT;
}

/* The next name, in walk->name. Returns 1, 0 at the end, -1 with *err. */
static int next_name(struct walk *walk, struct squashfs_dirent *ret, struct error *err)
{
        sqfs_dir_entry_t raw;
        struct name name;

        if (walk->left == 0) {
                if (walk->position >= walk->inode->directory.size)
                        return 0;
                if (read_header(walk, err) < 0)
                        return -1;
        }
        if (read_listing(walk, &raw, sizeof(raw), err) < 0)
                return -1;
        if (le16toh(raw.size) >= NAME_SIZE_MAX)
                return damaged(walk, err, "a name is too long");
        name.size = le16toh(raw.size) + 1u;
        if (read_listing(walk, name.text, name.size, err) < 0 || check_name(walk, &name, err) < 0)
                return -1;
        if (entry_type_of(le16toh(raw.type), &ret->type) < 0)
                return damaged(walk, err, "an entry is of no known type");
        name.text[name.size] = '\0';
        memcpy(&walk->name, &name, sizeof(name.size) + name.size + 1);
        walk->has_name = true;
        walk->left--;

        ret->name = walk->name.text;
        ret->ref = (uint64_t)walk->inode_block << 16 | le16toh(raw.offset);
        ret->inode = walk->inode_number + (uint32_t)(int16_t)le16toh((uint16_t)raw.inode_diff);
        ret->next = pack_position(walk);
        return 1;
}

/* ---- the two ways to use a directory ---- */

/* Positions come back from outside (telldir and seekdir), so nothing in them is trusted. */
static int walk_resume(struct walk *walk, uint64_t start, struct error *err)
{
        uint32_t position = (uint32_t)start;
        uint32_t from_header = (start >> 32) & ((1 << POSITION_HEADER_BITS) - 1);
        uint32_t left = (uint32_t)(start >> POSITION_LEFT_SHIFT);

        if (position > walk->inode->directory.size || from_header > position)
                return error_set(err, EINVAL, "%s: no such position in directory %" PRIu32,
                                 walk->image->name, walk->inode->number);
        if (left == 0)
                return walk_seek(walk, NULL, position, err);

        if (walk_seek(walk, NULL, position - from_header, err) < 0 || read_header(walk, err) < 0)
                return -1;
        if (left >= walk->left || position < walk->position)
                return error_set(err, EINVAL, "%s: no such position in directory %" PRIu32,
                                 walk->image->name, walk->inode->number);
        if (meta_skip(&walk->cursor, position - walk->position, err) < 0)
                return -1;
        walk->position = position;
        walk->left = left;
        return 0;
}

int directory_list(struct squashfs_image *image, const struct inode *inode, uint64_t start,
                   int (*visit)(const struct squashfs_dirent *entry, void *context,
                                struct error *err),
                   void *context, struct error *err)
{
        auto_walk struct walk walk = { .cursor = META_CURSOR_INIT(image) };
        struct squashfs_dirent entry;
        int status;

        if (walk_init(&walk, image, inode, err) < 0)
                return -1;
        if (inode->directory.size == 0)
                return 0;
        if (walk_resume(&walk, start, err) < 0)
                return -1;
        while ((status = next_name(&walk, &entry, err)) == 1) {
                status = visit(&entry, context, err);
                if (status != 0)
                        break;
        }
        return status < 0 ? -1 : 0;
}

int directory_lookup(struct squashfs_image *image, const struct inode *inode, const char *name,
                     squashfs_ref *ret, struct error *err)
{
        auto_walk struct walk walk = { .cursor = META_CURSOR_INIT(image) };
        struct squashfs_dirent entry;
        size_t size = strlen(name);
        int status;

        if (walk_init(&walk, image, inode, err) < 0)
                return -1;
        if (inode->directory.size == 0)
                return 0;
        if (walk_seek(&walk, name, 0, err) < 0)
                return -1;
        while ((status = next_name(&walk, &entry, err)) == 1) {
                int order = compare(&walk.name, name, size);

                if (order > 0)
                        return 0;
                if (order == 0) {
                        *ret = entry.ref;
                        return 1;
                }
        }
        return status;
}

int squashfs_find(struct squashfs_image *image, const char *path, squashfs_ref *ret,
                  struct error *err)
{
        auto_free char *copy = strdup(path);
        char *rest = *path ? copy : NULL, *name;
        squashfs_ref at = squashfs_root(image);
        struct squashfs_stat st;

        if (!copy)
                return error_no_memory(err);
        while ((name = strsep(&rest, "/"))) {
                int found;

                if (squashfs_stat(image, at, &st, err) < 0)
                        return -1;
                if (st.meta.type != ENTRY_DIRECTORY)
                        return 0;
                found = squashfs_lookup(image, at, name, &at, err);
                if (found <= 0)
                        return found;
        }
        *ret = at;
        return 1;
}
