/*
 * Inodes and directories; see inode_tables.h.
 *
 * A directory names the places of its children's inodes, and its own inode the place of
 * its names. So directories are written from the leaves to the root, and the names are
 * kept in memory (compressed) while inodes go to the image. Inodes are numbered before,
 * since a directory's inode names the number of its parent; children of a directory get
 * numbers in a row, which keeps their names short (squashfs stores differences).
 */
#include "squashfs/inode_tables.h"

#include <endian.h>
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include <sqfs/dir.h>
#include <sqfs/inode.h>

#include "squashfs/libraries.h"

/* Of references[]: the inode is not written yet. */
#define NO_REFERENCE UINT64_MAX

/* Block sizes turned to little-endian and appended at a time. */
#define SIZES_CHUNK 1024

/* Entries in the index of a directory. */
#define INDEX_LIMIT 1024

/* Longer link texts cannot exist on Linux, and kernels refuse them. */
#define TARGET_LIMIT (PATH_MAX - 1)

struct writing {
        struct inode_tables *tables;
        struct squashfs_writer *writer;
        sqfs_meta_writer_t *inodes, *names;
        sqfs_dir_writer_t *directory;
};

void inode_tables_release(struct inode_tables *tables)
{
        id_table_release(&tables->ids);
        xattr_table_release(&tables->xattrs);
        free(tables->references);
        *tables = (struct inode_tables)INODE_TABLES_INIT;
}

/* ---- the walk: every directory, after all directories in it ---- */

struct walk_frame {
        struct tree_node *node;
        size_t next; /* child to look at */
};

struct walk {
        struct walk_frame *frames;
        size_t depth, capacity;
};

static void walk_release(struct walk *walk)
{
        free(walk->frames);
}

static int walk_push(struct walk *walk, struct tree_node *node, struct error *err)
{
        if (walk->depth == walk->capacity) {
                size_t capacity = walk->capacity ? walk->capacity * 2 : 64;
                struct walk_frame *frames =
                        reallocarray(walk->frames, capacity, sizeof(*walk->frames));

                if (!frames)
                        return error_no_memory(err);
                walk->frames = frames;
                walk->capacity = capacity;
        }
        walk->frames[walk->depth++] = (struct walk_frame){ .node = node };
        return 0;
}

/* 1 and the next directory, 0 after the root, -1 with *err. */
static int walk_next(struct walk *walk, struct tree_node **ret, struct error *err)
{
        while (walk->depth > 0) {
                struct walk_frame *frame = &walk->frames[walk->depth - 1];
                struct tree_node *child;

                if (frame->next == frame->node->child_count) {
                        *ret = frame->node;
                        walk->depth--;
                        return 1;
                }
                child = frame->node->children[frame->next++];
                if (child->inode->meta.type == ENTRY_DIRECTORY && walk_push(walk, child, err) < 0)
                        return -1;
        }
        return 0;
}

/* ---- numbers ---- */

static int number_inode(struct inode_tables *tables, struct tree_inode *inode, struct error *err)
{
        if (inode->sink != 0)
                return 0;
        if (tables->count == UINT32_MAX)
                return error_set(err, EOVERFLOW, "more than %" PRIu32 " files", UINT32_MAX);
        inode->sink = ++tables->count;
        return 0;
}

static int number_inodes(struct inode_tables *tables, struct tree *tree, struct error *err)
{
        auto_cleanup(walk_release) struct walk walk = { .frames = NULL };
        struct tree_node *node;
        int result;

        if (number_inode(tables, tree_root(tree)->inode, err) < 0 ||
            walk_push(&walk, tree_root(tree), err) < 0)
                return -1;
        while ((result = walk_next(&walk, &node, err)) > 0)
                for (size_t i = 0; i < node->child_count; i++)
                        if (number_inode(tables, node->children[i]->inode, err) < 0)
                                return -1;
        if (result < 0)
                return -1;

        tables->references = reallocarray(NULL, tables->count, sizeof(*tables->references));
        if (!tables->references)
                return error_no_memory(err);
        memset(tables->references, 0xff, tables->count * sizeof(*tables->references));
        return 0;
}

static uint32_t inode_number(const struct tree_inode *inode)
{
        return (uint32_t)inode->sink;
}

/* ---- what all inodes have ---- */

static const struct {
        mode_t format;
        uint16_t plain, extended;
} types[] = {
        [ENTRY_FILE] = { S_IFREG, SQFS_INODE_FILE, SQFS_INODE_EXT_FILE },
        [ENTRY_DIRECTORY] = { S_IFDIR, SQFS_INODE_DIR, SQFS_INODE_EXT_DIR },
        [ENTRY_SYMLINK] = { S_IFLNK, SQFS_INODE_SLINK, SQFS_INODE_EXT_SLINK },
        [ENTRY_FIFO] = { S_IFIFO, SQFS_INODE_FIFO, SQFS_INODE_EXT_FIFO },
        [ENTRY_SOCKET] = { S_IFSOCK, SQFS_INODE_SOCKET, SQFS_INODE_EXT_SOCKET },
        [ENTRY_CHAR_DEVICE] = { S_IFCHR, SQFS_INODE_CDEV, SQFS_INODE_EXT_CDEV },
        [ENTRY_BLOCK_DEVICE] = { S_IFBLK, SQFS_INODE_BDEV, SQFS_INODE_EXT_BDEV },
};

static uint32_t clamp_time(int64_t seconds)
{
        if (seconds < 0)
                return 0;
        return seconds > UINT32_MAX ? UINT32_MAX : (uint32_t)seconds;
}

/* The common part in the machine's byte order; the type is the caller's. */
static int make_base(struct writing *writing, const struct tree_inode *inode, sqfs_inode_t *ret,
                     struct error *err)
{
        const struct squashfs_options *options = &writing->writer->options;
        const struct content_hash_key *key = &writing->writer->key;
        struct inode_tables *tables = writing->tables;
        const struct entry_meta *meta = &inode->meta;
        uint16_t uid = 0, gid = 0;

        if (id_table_add(&tables->ids, key, options->all_root ? 0 : meta->uid, &uid, err) < 0 ||
            id_table_add(&tables->ids, key, options->all_root ? 0 : meta->gid, &gid, err) < 0)
                return -1;
        *ret = (sqfs_inode_t){
                .mode = meta->mode & 07777,
                .uid_idx = uid,
                .gid_idx = gid,
                .mod_time = clamp_time(options->has_all_time ? options->all_time : meta->mtime),
                .inode_number = inode_number(inode),
        };
        if (ret->mod_time > tables->newest_mtime)
                tables->newest_mtime = ret->mod_time;
        return 0;
}

/* Note where the next inode will be. */
static int set_reference(struct writing *writing, const struct tree_inode *inode, struct error *err)
{
        sqfs_u64 block;
        sqfs_u32 offset;

        libsquashfs.meta_writer_get_position(writing->inodes, &block, &offset);
        if (block > UINT32_MAX)
                return error_set(err, EFBIG, "the inode table is longer than 4 GiB");
        writing->tables->references[inode_number(inode) - 1] = block << 16 | offset;
        return 0;
}

static int append(struct writing *writing, const void *data, size_t size, struct error *err)
{
        return output_check(&writing->writer->output,
                            libsquashfs.meta_writer_append(writing->inodes, data, size),
                            "inode table", err);
}

static int append_base(struct writing *writing, const sqfs_inode_t *base, struct error *err)
{
        sqfs_inode_t stored = {
                .type = htole16(base->type),
                .mode = htole16(base->mode),
                .uid_idx = htole16(base->uid_idx),
                .gid_idx = htole16(base->gid_idx),
                .mod_time = htole32(base->mod_time),
                .inode_number = htole32(base->inode_number),
        };

        return append(writing, &stored, sizeof(stored), err);
}

/* ---- files ---- */

/* Bytes of the file that are in holes. */
static uint64_t count_sparse(const struct stored_file *file, const struct stored_file *place,
                             uint32_t block_size)
{
        uint64_t sparse = 0;

        for (uint32_t i = 0; i < file->block_count; i++) {
                uint64_t left = file->size - (uint64_t)i * block_size;

                if (place->blocks[i] == 0)
                        sparse += left < block_size ? left : block_size;
        }
        return sparse;
}

static int append_block_sizes(struct writing *writing, const uint32_t *sizes, uint32_t count,
                              struct error *err)
{
        uint32_t chunk[SIZES_CHUNK];

        while (count > 0) {
                uint32_t part = count < SIZES_CHUNK ? count : SIZES_CHUNK;

                for (uint32_t i = 0; i < part; i++)
                        chunk[i] = htole32(sizes[i]);
                if (append(writing, chunk, part * sizeof(*chunk), err) < 0)
                        return -1;
                sizes += part;
                count -= part;
        }
        return 0;
}

static int append_file(struct writing *writing, sqfs_inode_t *base, const struct tree_inode *inode,
                       uint32_t xattrs, struct error *err)
{
        static const struct stored_file empty = { .fragment = NO_FRAGMENT };
        const struct stored_file *file = inode->data ? inode->data : &empty;
        const struct stored_file *place = file->same_as ? file->same_as : file;
        uint64_t sparse = count_sparse(file, place, writing->writer->options.block_size);
        int result;

        if (file->size != inode->meta.size)
                return error_set(err, EINVAL, "the content was not stored");

        if (inode->links == 1 && xattrs == NO_XATTRS && sparse == 0 && file->size <= UINT32_MAX &&
            place->start <= UINT32_MAX) {
                sqfs_inode_file_t body = {
                        .blocks_start = htole32((uint32_t)place->start),
                        .fragment_index = htole32(file->fragment),
                        .fragment_offset = htole32(file->fragment_offset),
                        .file_size = htole32((uint32_t)file->size),
                };

                result = append_base(writing, base, err);
                if (result == 0)
                        result = append(writing, &body, sizeof(body), err);
        } else {
                sqfs_inode_file_ext_t body = {
                        .blocks_start = htole64(place->start),
                        .file_size = htole64(file->size),
                        .sparse = htole64(sparse),
                        .nlink = htole32(inode->links),
                        .fragment_idx = htole32(file->fragment),
                        .fragment_offset = htole32(file->fragment_offset),
                        .xattr_idx = htole32(xattrs),
                };

                base->type = SQFS_INODE_EXT_FILE;
                result = append_base(writing, base, err);
                if (result == 0)
                        result = append(writing, &body, sizeof(body), err);
        }
        if (result < 0)
                return -1;
        return append_block_sizes(writing, place->blocks, file->block_count, err);
}

/* ---- everything that is neither a file nor a directory ---- */

/* As the kernel's new_encode_dev. */
static uint32_t encode_device(dev_t device)
{
        uint32_t high = major(device), low = minor(device);

        return (low & 0xff) | high << 8 | (low & ~0xffu) << 12;
}

static int append_special(struct writing *writing, sqfs_inode_t *base,
                          const struct tree_inode *inode, uint32_t xattrs, struct error *err)
{
        const struct entry_meta *meta = &inode->meta;
        uint32_t fields[2] = { htole32(inode->links), 0 };
        uint32_t stored_xattrs = htole32(xattrs);
        size_t field_count = 1, target_length = 0;

        if (meta->type == ENTRY_SYMLINK) {
                target_length = strlen(meta->target);
                if (target_length > TARGET_LIMIT)
                        return error_set(err, ENAMETOOLONG,
                                         "the symbolic link's target is longer than %d bytes",
                                         TARGET_LIMIT);
                fields[field_count++] = htole32((uint32_t)target_length);
        } else if (meta->type == ENTRY_CHAR_DEVICE || meta->type == ENTRY_BLOCK_DEVICE) {
                fields[field_count++] = htole32(encode_device(meta->rdev));
        }

        if (xattrs != NO_XATTRS)
                base->type = types[meta->type].extended;
        if (append_base(writing, base, err) < 0 ||
            append(writing, fields, field_count * sizeof(*fields), err) < 0 ||
            append(writing, meta->target, target_length, err) < 0)
                return -1;
        return xattrs == NO_XATTRS ? 0
                                   : append(writing, &stored_xattrs, sizeof(stored_xattrs), err);
}

static int write_leaf(struct writing *writing, const struct tree_inode *inode, struct error *err)
{
        sqfs_inode_t base;
        uint32_t xattrs;

        if (make_base(writing, inode, &base, err) < 0 ||
            xattr_table_add(&writing->tables->xattrs, &writing->writer->key, &inode->meta.xattrs,
                            &xattrs, err) < 0 ||
            set_reference(writing, inode, err) < 0)
                return -1;
        base.type = types[inode->meta.type].plain;
        return inode->meta.type == ENTRY_FILE ? append_file(writing, &base, inode, xattrs, err)
                                              : append_special(writing, &base, inode, xattrs, err);
}

/* ---- directories ---- */

/* Put the path of a node in front of the message; only as much of its end as fits. */
static int prefix_path(struct error *err, const struct tree_node *node)
{
        char path[256];
        size_t at = sizeof(path) - 1;

        path[at] = '\0';
        for (; node->parent; node = node->parent) {
                size_t length = strlen(node->name);

                if (length + 1 > at)
                        break;
                at -= length + 1;
                path[at] = '/';
                memcpy(path + at + 1, node->name, length);
        }
        return error_prefix(err, "%s%s", node->parent ? "…" : "", path[at] ? path + at : "/");
}

static void count_leaf(struct squashfs_stats *stats, enum entry_type type)
{
        if (type == ENTRY_FILE)
                stats->files++;
        else if (type == ENTRY_SYMLINK)
                stats->symlinks++;
        else
                stats->others++;
}

static int write_leaves(struct writing *writing, const struct tree_node *node, struct error *err)
{
        struct squashfs_stats *stats = &writing->writer->stats;

        for (size_t i = 0; i < node->child_count; i++) {
                const struct tree_inode *inode = node->children[i]->inode;

                if (inode->meta.type == ENTRY_DIRECTORY)
                        continue;
                if (writing->tables->references[inode_number(inode) - 1] != NO_REFERENCE) {
                        stats->hard_links++;
                        continue;
                }
                if (write_leaf(writing, inode, err) < 0)
                        return prefix_path(err, node->children[i]);
                count_leaf(stats, inode->meta.type);
        }
        return 0;
}

static int write_names(struct writing *writing, const struct tree_node *node, struct error *err)
{
        const struct output *output = &writing->writer->output;
        int status = libsquashfs.dir_writer_begin(writing->directory, 0);

        for (size_t i = 0; i < node->child_count && status == 0; i++) {
                const struct tree_node *child = node->children[i];
                uint32_t number = inode_number(child->inode);

                if (strlen(child->name) > NAME_MAX)
                        return error_set(err, ENAMETOOLONG, "a name in it is longer than %d bytes",
                                         NAME_MAX);
                status = libsquashfs.dir_writer_add_entry(writing->directory, child->name, number,
                                                   writing->tables->references[number - 1],
                                                   (sqfs_u16)types[child->inode->meta.type].format);
        }
        if (status == 0)
                status = libsquashfs.dir_writer_end(writing->directory);
        return output_check(output, status, "directory table", err);
}

static size_t index_entry_size(const sqfs_u8 *index)
{
        sqfs_dir_index_t entry;

        memcpy(&entry, index, sizeof(entry));
        return sizeof(entry) + entry.size + 1;
}

/*
 * libsquashfs makes an index entry for each header of a directory, at most 256 names. A
 * lookup reads the index up to its name and then the names up to the next entry, so in
 * very large directories fewer entries are faster (1,000,000 names: 0.8 ms instead of
 * 3.1 ms); and their number is a 16-bit field that libsquashfs lets overflow.
 */
static void thin_index(sqfs_inode_generic_t *inode)
{
        sqfs_u8 *index = (sqfs_u8 *)inode->extra;
        size_t total = 0, used = 0, count = 0, step;

        if (inode->base.type != SQFS_INODE_EXT_DIR)
                return;
        for (size_t at = 0; at < inode->payload_bytes_used; total++)
                at += index_entry_size(index + at);
        step = total / INDEX_LIMIT + 1;

        for (size_t at = 0, number = 0; number < total; number++) {
                size_t size = index_entry_size(index + at);

                if (number % step == step - 1) {
                        memmove(index + used, index + at, size);
                        used += size;
                        count++;
                }
                at += size;
        }
        inode->payload_bytes_used = (sqfs_u32)used;
        inode->data.dir_ext.inodex_count = (sqfs_u16)count;
}

/* Two and one for each directory in it, as other file systems have it. */
static void set_link_count(sqfs_inode_generic_t *inode, const struct tree_node *node)
{
        uint32_t links = 2;

        for (size_t i = 0; i < node->child_count; i++)
                if (node->children[i]->inode->meta.type == ENTRY_DIRECTORY)
                        links++;
        if (inode->base.type == SQFS_INODE_EXT_DIR)
                inode->data.dir_ext.nlink = links;
        else
                inode->data.dir.nlink = links;
}

static int check_directory_size(const struct writing *writing, struct error *err)
{
        if (libsquashfs.dir_writer_get_size(writing->directory) > INT32_MAX)
                return error_set(err, EFBIG, "the names in it are longer than 2 GiB");
        if (libsquashfs.dir_writer_get_dir_reference(writing->directory) >> 16 > UINT32_MAX)
                return error_set(err, EFBIG, "the directory table is longer than 4 GiB");
        return 0;
}

static int write_directory(struct writing *writing, const struct tree_node *node, struct error *err)
{
        const struct tree_inode *inode = node->inode;
        uint32_t xattrs, parent = node->parent ? inode_number(node->parent->inode)
                                               : writing->tables->count + 1;
        auto_free sqfs_inode_generic_t *stored = NULL;
        sqfs_inode_t base;
        uint16_t type;

        if (write_names(writing, node, err) < 0 || check_directory_size(writing, err) < 0 ||
            make_base(writing, inode, &base, err) < 0 ||
            xattr_table_add(&writing->tables->xattrs, &writing->writer->key, &inode->meta.xattrs,
                            &xattrs, err) < 0 ||
            set_reference(writing, inode, err) < 0)
                return -1;

        stored = libsquashfs.dir_writer_create_inode(writing->directory, 0, xattrs, parent);
        if (!stored)
                return error_no_memory(err);
        type = stored->base.type;
        stored->base = base;
        stored->base.type = type;
        thin_index(stored);
        set_link_count(stored, node);
        return output_check(&writing->writer->output,
                            libsquashfs.meta_writer_write_inode(writing->inodes, stored),
                            "inode table", err);
}

/* ---- the tables ---- */

static int write_all(struct writing *writing, struct tree *tree, struct error *err)
{
        auto_cleanup(walk_release) struct walk walk = { .frames = NULL };
        struct tree_node *node;
        int result;

        if (walk_push(&walk, tree_root(tree), err) < 0)
                return -1;
        while ((result = walk_next(&walk, &node, err)) > 0) {
                if (write_leaves(writing, node, err) < 0)
                        return -1;
                if (write_directory(writing, node, err) < 0)
                        return prefix_path(err, node);
                writing->writer->stats.directories++;
        }
        return result;
}

static void writing_release(struct writing *writing)
{
        sqfs_destroy(writing->directory);
        sqfs_destroy(writing->names);
        sqfs_destroy(writing->inodes);
}

int inode_tables_write(struct inode_tables *tables, struct squashfs_writer *writer,
                       struct tree *tree, sqfs_super_t *super, struct error *err)
{
        struct output *output = &writer->output;
        sqfs_compressor_t *compressor =
                writer->options.plain_inodes ? writer->plain : writer->compressor;
        auto_cleanup(writing_release) struct writing writing = {
                .tables = tables,
                .writer = writer,
        };
        int status;

        writing.inodes = libsquashfs.meta_writer_create(&output->base, compressor, 0);
        writing.names = libsquashfs.meta_writer_create(&output->base, compressor,
                                                       SQFS_META_WRITER_KEEP_IN_MEMORY);
        if (!writing.inodes || !writing.names)
                return error_no_memory(err);
        writing.directory = libsquashfs.dir_writer_create(writing.names, 0);
        if (!writing.directory)
                return error_no_memory(err);

        super->inode_table_start = output->size;
        if (number_inodes(tables, tree, err) < 0 || write_all(&writing, tree, err) < 0)
                return -1;
        status = libsquashfs.meta_writer_flush(writing.inodes);
        super->directory_table_start = output->size;
        if (status == 0)
                status = libsquashfs.meta_writer_flush(writing.names);
        if (status == 0)
                status = libsquashfs.meta_write_write_to_file(writing.names);
        super->inode_count = tables->count;
        super->root_inode_ref = tables->references[inode_number(tree_root(tree)->inode) - 1];
        return output_check(output, status, "directory table", err);
}
