/*
 * Answers to the requests of the kernel's FUSE.
 *
 * There is no table of nodes: a node id is the position of an inode in the image,
 * so there is nothing to forget and memory does not grow with use. The image
 * cannot change, so the kernel may keep all that it is told for as long as it
 * likes, and is spared open, release and further questions by ENOSYS where the
 * protocol provides for that (linux/fuse.h: FUSE_NO_OPEN_SUPPORT and relatives).
 */
#include "squashfs/fuse_requests.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>

#include "util/strbuf.h"

/* Names and attributes are valid as long as the mount will be. */
#define VALID_SECONDS (366 * 86400.0)

/* Requests that the kernel sends ahead of need; its default of 12 starves the threads. */
#define BACKGROUND_MAX 64

/* Zeros for holes. Never written to. */
static uint8_t zeros[64 << 10];

static struct fuse_server *server_of(fuse_req_t request)
{
        return libfuse.req_userdata(request);
}

/* ---- nodes ---- */

/* FUSE reserves 0 and gives the root 1; references of other inodes may be 0, too. */
#define NODE_OFFSET 2

static fuse_ino_t node_of(const struct fuse_server *server, squashfs_ref ref)
{
        return ref == squashfs_root(server->image) ? FUSE_ROOT_ID : ref + NODE_OFFSET;
}

static squashfs_ref ref_of(const struct fuse_server *server, fuse_ino_t node)
{
        return node == FUSE_ROOT_ID ? squashfs_root(server->image) : node - NODE_OFFSET;
}

static void reply_error(fuse_req_t request, const struct error *err)
{
        /* What other file systems say of damage; EBADMSG puzzles programs. */
        libfuse.reply_err(request, err->code == EBADMSG ? EIO : err->code);
}

/* Whose a file is shown to be; see squashfs_serve_options. */
static uint32_t owner(const struct fuse_server *server, uint16_t index, uint32_t user,
                      uint32_t count)
{
        struct error ignored = ERROR_INIT;
        uint32_t id;

        if (count == 0 || squashfs_read_id(server->image, index, &id, &ignored) < 0 || id == 0 ||
            id >= count)
                return user;
        return id == user ? 0 : id;
}

static void fill_attributes(const struct fuse_server *server, const struct inode *inode,
                            struct stat *ret)
{
        const struct squashfs_serve_options *options = server->options;

        *ret = (struct stat){
                .st_ino = inode->number,
                .st_mode = entry_type_bits(inode->type) | inode->mode,
                .st_nlink = inode->links,
                .st_uid = owner(server, inode->uid_index, options->uid, options->uid_count),
                .st_gid = owner(server, inode->gid_index, options->gid, options->gid_count),
                .st_blksize = server->image->super.block_size,
                .st_atime = inode->mtime,
                .st_mtime = inode->mtime,
                .st_ctime = inode->mtime,
        };
        switch (inode->type) {
        case ENTRY_FILE:
                ret->st_size = (off_t)inode->file.size;
                break;
        case ENTRY_DIRECTORY:
                ret->st_size = inode->directory.size + DIRECTORY_SIZE_BIAS;
                break;
        case ENTRY_SYMLINK:
                ret->st_size = inode->symlink.size;
                break;
        case ENTRY_CHAR_DEVICE:
        case ENTRY_BLOCK_DEVICE:
                ret->st_rdev = inode->device;
                break;
        default:
                break;
        }
        ret->st_blocks = (ret->st_size + 511) / 512;
}

static void fill_entry(const struct fuse_server *server, const struct inode *inode,
                       struct fuse_entry_param *ret)
{
        *ret = (struct fuse_entry_param){
                .ino = node_of(server, inode->ref),
                .attr_timeout = VALID_SECONDS,
                .entry_timeout = VALID_SECONDS,
        };
        fill_attributes(server, inode, &ret->attr);
}

static void serve_lookup(fuse_req_t request, fuse_ino_t parent, const char *name)
{
        struct fuse_server *server = server_of(request);
        /* Node 0 is an absence that the kernel remembers. */
        struct fuse_entry_param entry = { .ino = 0, .entry_timeout = VALID_SECONDS };
        struct error err = ERROR_INIT;
        struct inode inode;
        squashfs_ref ref;
        int found = squashfs_lookup(server->image, ref_of(server, parent), name, &ref, &err);

        if (found < 0 || (found && inode_load(server->image, ref, &inode, &err) < 0)) {
                reply_error(request, &err);
                return;
        }
        if (found)
                fill_entry(server, &inode, &entry);
        libfuse.reply_entry(request, &entry);
}

static void serve_getattr(fuse_req_t request, fuse_ino_t node, struct fuse_file_info *info)
{
        struct fuse_server *server = server_of(request);
        struct error err = ERROR_INIT;
        struct inode inode;
        struct stat attributes;

        (void)info;
        if (inode_load(server->image, ref_of(server, node), &inode, &err) < 0) {
                reply_error(request, &err);
                return;
        }
        fill_attributes(server, &inode, &attributes);
        libfuse.reply_attr(request, &attributes, VALID_SECONDS);
}

static void serve_readlink(fuse_req_t request, fuse_ino_t node)
{
        struct fuse_server *server = server_of(request);
        struct error err = ERROR_INIT;
        auto_free char *text = squashfs_readlink(server->image, ref_of(server, node), &err);

        if (text)
                libfuse.reply_readlink(request, text);
        else
                reply_error(request, &err);
}

static void serve_statfs(fuse_req_t request, fuse_ino_t node)
{
        const sqfs_super_t *super = &server_of(request)->image->super;
        struct statvfs reply = {
                .f_bsize = super->block_size,
                .f_frsize = super->block_size,
                .f_blocks = (super->bytes_used + super->block_size - 1) / super->block_size,
                .f_files = super->inode_count,
                .f_namemax = NAME_MAX,
        };

        (void)node;
        libfuse.reply_statfs(request, &reply);
}

/* ---- content ---- */

/* ENOSYS: never ask again, and keep the page cache (fuse_file_open in fs/fuse/file.c). */
static void serve_open(fuse_req_t request, fuse_ino_t node, struct fuse_file_info *info)
{
        (void)node;
        (void)info;
        libfuse.reply_err(request, ENOSYS);
}

/* Answer from memory without a copy. The iovecs are enough for a whole request. */
static void reply_memory(fuse_req_t request, const struct squashfs_map *map)
{
        struct iovec pieces[SQUASHFS_MAP_EXTENTS + FUSE_READ_MAX / sizeof(zeros)];
        int count = 0;

        for (size_t i = 0; i < map->count; i++) {
                const struct squashfs_extent *extent = &map->extents[i];
                uint64_t left = extent->size;

                if (extent->kind == SQUASHFS_MEMORY) {
                        pieces[count++] = (struct iovec){ (void *)extent->data, left };
                        continue;
                }
                for (size_t size; left > 0; left -= size) {
                        size = left < sizeof(zeros) ? left : sizeof(zeros);
                        pieces[count++] = (struct iovec){ zeros, size };
                }
        }
        libfuse.reply_iov(request, pieces, count);
}

/* Hand over the place in the image file: the data need not pass through this process. */
static void reply_plain(fuse_req_t request, const struct squashfs_image *image,
                        const struct squashfs_extent *extent)
{
        struct fuse_bufvec data = FUSE_BUFVEC_INIT(extent->size);

        data.buf[0].flags = FUSE_BUF_IS_FD | FUSE_BUF_FD_SEEK;
        data.buf[0].fd = image->fd;
        data.buf[0].pos = (off_t)(image->base + extent->position);
        libfuse.reply_data(request, &data, FUSE_BUF_SPLICE_MOVE);
}

static void reply_copy(fuse_req_t request, struct fuse_server *server, fuse_ino_t node, size_t size,
                       off_t offset)
{
        struct error err = ERROR_INIT;
        auto_free void *buffer = malloc(size);
        ssize_t count;

        if (!buffer) {
                libfuse.reply_err(request, ENOMEM);
                return;
        }
        count = squashfs_read(server->image, ref_of(server, node), buffer, size, (uint64_t)offset,
                              &err);
        if (count < 0)
                reply_error(request, &err);
        else
                libfuse.reply_buf(request, buffer, (size_t)count);
}

static bool map_has_plain(const struct squashfs_map *map)
{
        for (size_t i = 0; i < map->count; i++) {
                if (map->extents[i].kind == SQUASHFS_PLAIN)
                        return true;
        }
        return false;
}

static void serve_read(fuse_req_t request, fuse_ino_t node, size_t size, off_t offset,
                       struct fuse_file_info *info)
{
        struct fuse_server *server = server_of(request);
        struct squashfs_map map = SQUASHFS_MAP_INIT;
        struct error err = ERROR_INIT;

        (void)info;
        if (size > FUSE_READ_MAX)
                size = FUSE_READ_MAX;
        if (squashfs_map(server->image, ref_of(server, node), (uint64_t)offset, size, &map, &err) <
            0) {
                reply_error(request, &err);
                return;
        }
        if (map.count == 1 && map.extents[0].kind == SQUASHFS_PLAIN)
                reply_plain(request, server->image, &map.extents[0]);
        else if (map_has_plain(&map))
                reply_copy(request, server, node, size, offset);
        else
                reply_memory(request, &map);
        squashfs_unmap(server->image, &map);
}

/* ---- directories ---- */

/* Offsets of "." and ".."; those of other names are squashfs_list's, shifted by as much. */
#define OFFSET_DOT     1
#define OFFSET_DOT_DOT 2

struct listing {
        struct fuse_server *server;
        fuse_req_t request;
        bool plus;
        struct meta_cursor inodes; /* names of a directory often have neighbouring inodes */
        size_t used, size;
        char buffer[];
};

/* Returns 0, or 1 when the buffer is full. */
static int listing_add(struct listing *listing, const char *name,
                       const struct fuse_entry_param *entry, off_t offset)
{
        size_t left = listing->size - listing->used;
        char *to = listing->buffer + listing->used;
        size_t size = listing->plus ? libfuse.add_direntry_plus(listing->request, to, left, name,
                                                                entry, offset)
                                    : libfuse.add_direntry(listing->request, to, left, name,
                                                           &entry->attr, offset);

        if (size > left)
                return 1;
        listing->used += size;
        return 0;
}

static int listing_visit(const struct squashfs_dirent *dirent, void *context, struct error *err)
{
        struct listing *listing = context;
        /* Node 0 leaves it to a lookup to tell what is wrong with this inode. */
        struct fuse_entry_param entry = {
                .attr = { .st_ino = dirent->inode, .st_mode = entry_type_bits(dirent->type) },
        };
        struct inode inode;

        if (listing->plus && inode_read(&listing->inodes, dirent->ref, &inode, err) == 0)
                fill_entry(listing->server, &inode, &entry);
        return listing_add(listing, dirent->name, &entry, (off_t)dirent->next + OFFSET_DOT_DOT);
}

static int listing_fill(struct listing *listing, fuse_ino_t node, off_t offset, struct error *err)
{
        struct fuse_server *server = listing->server;
        struct fuse_entry_param entry = { .attr = { .st_mode = S_IFDIR } };
        struct inode inode;

        if (inode_load(server->image, ref_of(server, node), &inode, err) < 0)
                return -1;
        if (inode.type != ENTRY_DIRECTORY)
                return error_set(err, ENOTDIR, "inode %" PRIu32 " is no directory", inode.number);
        entry.attr.st_ino = inode.number;
        if (offset < OFFSET_DOT && listing_add(listing, ".", &entry, OFFSET_DOT))
                return 0;
        entry.attr.st_ino = inode.directory.parent;
        if (offset < OFFSET_DOT_DOT && listing_add(listing, "..", &entry, OFFSET_DOT_DOT))
                return 0;
        return directory_list(server->image, &inode,
                              offset > OFFSET_DOT_DOT ? (uint64_t)(offset - OFFSET_DOT_DOT) : 0,
                              listing_visit, listing, err);
}

static void serve_listing(fuse_req_t request, fuse_ino_t node, size_t size, off_t offset, bool plus)
{
        struct fuse_server *server = server_of(request);
        struct error err = ERROR_INIT;
        auto_free struct listing *listing = malloc(sizeof(*listing) + size);
        int status;

        if (!listing) {
                libfuse.reply_err(request, ENOMEM);
                return;
        }
        *listing = (struct listing){
                .server = server,
                .request = request,
                .plus = plus,
                .inodes = META_CURSOR_INIT(server->image),
                .size = size,
        };
        status = listing_fill(listing, node, offset, &err);
        meta_release(&listing->inodes);
        /* The names before a damaged entry are still worth having. */
        if (status < 0 && listing->used == 0)
                reply_error(request, &err);
        else
                libfuse.reply_buf(request, listing->buffer, listing->used);
}

static void serve_readdir(fuse_req_t request, fuse_ino_t node, size_t size, off_t offset,
                          struct fuse_file_info *info)
{
        (void)info;
        serve_listing(request, node, size, offset, false);
}

static void serve_readdirplus(fuse_req_t request, fuse_ino_t node, size_t size, off_t offset,
                              struct fuse_file_info *info)
{
        (void)info;
        serve_listing(request, node, size, offset, true);
}

/* ---- attributes ---- */

/*
 * Only user.* is shown: capabilities of files and security labels of a stranger's
 * image have no business here, and the mount ignores them anyway (nosuid). Without
 * any, ENOSYS spares overlayfs and ls their questions about every single file.
 */
static bool may_have_xattrs(struct fuse_server *server)
{
        int known = atomic_load_explicit(&server->xattrs, memory_order_relaxed);

        if (known == XATTRS_UNKNOWN) {
                known = image_has_user_xattrs(server->image) ? XATTRS_SOME : XATTRS_NONE;
                atomic_store_explicit(&server->xattrs, known, memory_order_relaxed);
        }
        return known == XATTRS_SOME;
}

static void reply_bytes(fuse_req_t request, const void *data, size_t length, size_t room)
{
        if (room == 0)
                libfuse.reply_xattr(request, length);
        else if (length > room)
                libfuse.reply_err(request, ERANGE);
        else
                libfuse.reply_buf(request, data, length);
}

/* Returns 0 once *ret is filled; otherwise the request was answered. */
static int load_xattrs(fuse_req_t request, fuse_ino_t node, struct entry_meta *ret)
{
        struct fuse_server *server = server_of(request);
        struct error err = ERROR_INIT;

        if (squashfs_xattrs(server->image, ref_of(server, node), &ret->xattrs, &err) == 0)
                return 0;
        reply_error(request, &err);
        return -1;
}

static void serve_getxattr(fuse_req_t request, fuse_ino_t node, const char *name, size_t size)
{
        auto_cleanup(entry_meta_release) struct entry_meta meta = { .target = NULL };
        const struct xattr *xattr;

        if (!may_have_xattrs(server_of(request))) {
                libfuse.reply_err(request, ENOSYS);
                return;
        }
        if (!xattr_is_user(name)) {
                libfuse.reply_err(request, ENODATA);
                return;
        }
        if (load_xattrs(request, node, &meta) < 0)
                return;
        xattr = xattr_list_find(&meta.xattrs, name);
        if (xattr)
                reply_bytes(request, xattr->value, xattr->size, size);
        else
                libfuse.reply_err(request, ENODATA);
}

static void serve_listxattr(fuse_req_t request, fuse_ino_t node, size_t size)
{
        auto_cleanup(entry_meta_release) struct entry_meta meta = { .target = NULL };
        auto_strbuf struct strbuf names = STRBUF_INIT;

        if (!may_have_xattrs(server_of(request))) {
                libfuse.reply_err(request, ENOSYS);
                return;
        }
        if (load_xattrs(request, node, &meta) < 0)
                return;
        for (size_t i = 0; i < meta.xattrs.count; i++) {
                const char *name = meta.xattrs.items[i].name;

                if (xattr_is_user(name))
                        strbuf_append_mem(&names, name, strlen(name) + 1);
        }
        if (names.failed)
                libfuse.reply_err(request, ENOMEM);
        else
                reply_bytes(request, strbuf_text(&names), names.length, size);
}

/* ---- the table ---- */

static void serve_init(void *userdata, struct fuse_conn_info *connection)
{
        (void)userdata;
        connection->want |=
                connection->capable &
                (FUSE_CAP_ASYNC_READ | FUSE_CAP_PARALLEL_DIROPS | FUSE_CAP_READDIRPLUS |
                 FUSE_CAP_CACHE_SYMLINKS | FUSE_CAP_NO_OPEN_SUPPORT | FUSE_CAP_NO_OPENDIR_SUPPORT |
                 FUSE_CAP_EXPLICIT_INVAL_DATA | FUSE_CAP_SPLICE_WRITE | FUSE_CAP_SPLICE_MOVE);
        connection->want &=
                ~(FUSE_CAP_READDIRPLUS_AUTO | FUSE_CAP_AUTO_INVAL_DATA | FUSE_CAP_SPLICE_READ);
        connection->max_background = BACKGROUND_MAX;
}

const struct fuse_lowlevel_ops fuse_requests = {
        .init = serve_init,
        .lookup = serve_lookup,
        .getattr = serve_getattr,
        .readlink = serve_readlink,
        .statfs = serve_statfs,
        .open = serve_open,
        .read = serve_read,
        .opendir = serve_open,
        .readdir = serve_readdir,
        .readdirplus = serve_readdirplus,
        .getxattr = serve_getxattr,
        .listxattr = serve_listxattr,
};
