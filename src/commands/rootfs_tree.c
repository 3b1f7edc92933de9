#include "commands/rootfs_tree.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "runtime/runtime.h"
#include "util/cancel.h"

#define COPY_PIECE (1u << 20) /* bytes */

/* ---- what is left out ---- */

static bool is_left_out(const char *path, const struct entry_meta *meta)
{
        (void)meta;
        return strncmp(path, "dev/", strlen("dev/")) == 0 || strcmp(path, ".lock") == 0 ||
               strcmp(path, ".enroot") == 0;
}

/*
 * The classic tool makes mount points that were missing without permissions. Nothing else
 * in a container's directory is so: create gives the user his own everywhere.
 */
static bool is_left_out_of_directory(const char *path, const struct entry_meta *meta)
{
        bool is_empty = meta->type == ENTRY_FILE && meta->size == 0;

        return is_left_out(path, meta) ||
               (meta->mode == 0 && (meta->type == ENTRY_DIRECTORY || is_empty));
}

/* ---- the tree ---- */

static int open_layers(struct rootfs_tree *rootfs, struct error *err)
{
        struct place *place = &rootfs->place;

        rootfs->root_fd = openat(place->fd, place->lazy ? LAZY_UPPER : ".",
                                 O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (rootfs->root_fd < 0)
                return error_errno(err, "container %s", place->path);
        rootfs->access.root_fd = rootfs->root_fd;
        if (!place->lazy)
                return 0;
        rootfs->image_fd = place_open_image(place, err);
        if (rootfs->image_fd < 0)
                return -1;
        rootfs->image = squashfs_open(rootfs->image_fd, place->image, err);
        return rootfs->image ? 0 : -1;
}

static int read_tree(struct rootfs_tree *rootfs, struct error *err)
{
        struct scan_options options = {
                .overlay = rootfs->image != NULL,
                .keep_owners = runtime_keeps_owners(rootfs->context->config),
                .leave_out = is_left_out_of_directory,
                .access = &rootfs->access,
        };

        rootfs->tree = tree_new(err);
        if (!rootfs->tree)
                return -1;
        if (tree_scan(rootfs->tree, rootfs->root_fd, &options, err) < 0)
                return error_prefix(err, "container %s", rootfs->place.path);
        options.leave_out = is_left_out;
        if (rootfs->image && squashfs_scan(rootfs->image, rootfs->tree, &options, err) < 0)
                return error_prefix(err, "image file %s", rootfs->place.image);
        return tree_finish(rootfs->tree, 0, err);
}

int rootfs_tree_open(struct rootfs_tree *ret, const struct command_context *context,
                     const char *name, struct error *err)
{
        ret->context = context;
        ret->buffer = malloc(COPY_PIECE);
        if (!ret->buffer)
                return error_no_memory(err);
        if (place_find(&ret->place, context->config, name, err) < 0 || open_layers(ret, err) < 0)
                return -1;
        return read_tree(ret, err);
}

void rootfs_tree_release(struct rootfs_tree *rootfs)
{
        owner_access_release(&rootfs->access);
        if (rootfs->tree)
                tree_free(TAKE_PTR(rootfs->tree));
        if (rootfs->image)
                squashfs_close(TAKE_PTR(rootfs->image));
        if (rootfs->image_fd >= 0)
                (void)close(TAKE_FD(rootfs->image_fd));
        if (rootfs->root_fd >= 0)
                (void)close(TAKE_FD(rootfs->root_fd));
        place_release(&rootfs->place);
        free(TAKE_PTR(rootfs->buffer));
}

/* ---- content ---- */

/* The tree's paths have no links on the way. */
static int find_in_image(struct rootfs_file *file, struct error *err)
{
        int found = squashfs_find(file->rootfs->image, file->path, &file->ref, err);

        return found == 0 ? error_set(err, ENOENT, "no such file") : found < 0 ? -1 : 0;
}

static int open_file(struct rootfs_file *file, struct error *err)
{
        struct stat st;

        file->fd = owner_access_open_file(&file->rootfs->access, file->path);
        if (file->fd < 0 && errno == ENOENT && file->rootfs->image)
                return find_in_image(file, err);
        if (file->fd < 0)
                return error_errno(err, "open");
        if (fstat(file->fd, &st) < 0)
                return error_errno(err, "stat");
        if (!S_ISREG(st.st_mode))
                return error_set(err, ESTALE, "it has been replaced by something else");
        file->dense = (uint64_t)st.st_blocks * 512 >= file->size;
        return 0;
}

int rootfs_file_open(struct rootfs_file *ret, struct rootfs_tree *rootfs, const char *path,
                     const struct tree_inode *inode, struct error *err)
{
        *ret = (struct rootfs_file){
                .rootfs = rootfs,
                .path = path,
                .size = inode->meta.size,
                .fd = -1,
        };
        return open_file(ret, err) < 0 ? error_prefix(err, "/%s", path) : 0;
}

void rootfs_file_close(struct rootfs_file *file)
{
        if (file->fd >= 0)
                (void)close(TAKE_FD(file->fd));
}

static int next_in_directory(const struct rootfs_file *file, uint64_t *offset, uint64_t *ret_end,
                             struct error *err)
{
        off_t start = lseek(file->fd, (off_t)*offset, SEEK_DATA), end;

        if (start < 0 && errno == ENXIO)
                return 0;
        end = start < 0 ? -1 : lseek(file->fd, start, SEEK_HOLE);
        if (end < 0)
                return error_errno(err, "/%s: look for data", file->path);
        *offset = (uint64_t)start;
        *ret_end = (uint64_t)end;
        return *offset < file->size;
}

static int next_in_image(struct rootfs_file *file, uint64_t *offset, uint64_t *ret_end,
                         struct error *err)
{
        struct squashfs_image *image = file->rootfs->image;
        struct squashfs_map map = SQUASHFS_MAP_INIT;
        uint64_t from = *offset, to = from;

        while (to == from && from < file->size) {
                if (squashfs_map(image, file->ref, from, COPY_PIECE, &map, err) < 0)
                        return -1;
                if (map.count == 0)
                        return 0;
                for (size_t i = 0; i < map.count; i++) {
                        bool hole = map.extents[i].kind == SQUASHFS_HOLE;

                        if (hole && to > from)
                                break;
                        to += map.extents[i].size;
                        if (hole)
                                from = to;
                }
                squashfs_unmap(image, &map);
        }
        *offset = from;
        *ret_end = to;
        return to > from;
}

int rootfs_file_next_data(struct rootfs_file *file, uint64_t *offset, uint64_t *ret_end,
                          struct error *err)
{
        int found;

        if (*offset >= file->size)
                return 0;
        *ret_end = file->size;
        if (file->dense)
                return 1;
        found = file->fd >= 0 ? next_in_directory(file, offset, ret_end, err)
                              : next_in_image(file, offset, ret_end, err);
        if (found > 0 && *ret_end > file->size)
                *ret_end = file->size;
        return found;
}

/* Returns the bytes read, 0 at the end, or -1 with *err. */
static ssize_t read_piece(struct rootfs_file *file, uint64_t offset, size_t size, struct error *err)
{
        struct rootfs_tree *rootfs = file->rootfs;
        ssize_t count;

        if (file->fd < 0)
                return squashfs_read(rootfs->image, file->ref, rootfs->buffer, size, offset, err);
        do
                count = pread(file->fd, rootfs->buffer, size, (off_t)offset);
        while (count < 0 && errno == EINTR);
        return count < 0 ? error_errno(err, "read") : count;
}

/* Returns 1, 0 when the file ends before the range does, or -1 with *err. */
static int copy_range(struct rootfs_file *file, uint64_t offset, uint64_t end,
                      const struct content_sink *sink, struct error *err)
{
        struct report *report = file->rootfs->context->report;

        while (offset < end) {
                size_t wanted = end - offset < COPY_PIECE ? (size_t)(end - offset) : COPY_PIECE;
                ssize_t count = read_piece(file, offset, wanted, err);

                if (count <= 0)
                        return (int)count;
                if (sink->append(sink->context, file->rootfs->buffer, (size_t)count, offset, err) <
                            0 ||
                    cancel_check(err) < 0)
                        return -1;
                report->progress.bytes_written += (uint64_t)count;
                offset += (uint64_t)count;
        }
        return 1;
}

static int copy_data(struct rootfs_file *file, const struct content_sink *sink, struct error *err)
{
        uint64_t offset = 0, end;
        int more;

        while ((more = rootfs_file_next_data(file, &offset, &end, err)) > 0) {
                more = copy_range(file, offset, end, sink, err);
                if (more == 0)
                        report_warn(file->rootfs->context->report,
                                    "/%s became shorter while it was read", file->path);
                if (more <= 0)
                        break;
                offset = end;
        }
        return more;
}

int rootfs_file_copy(struct rootfs_file *file, struct tree_inode *inode,
                     const struct content_sink *sink, struct error *err)
{
        if (sink->begin_file(sink->context, inode, err) < 0 || copy_data(file, sink, err) < 0 ||
            sink->append(sink->context, NULL, 0, file->size, err) < 0 ||
            sink->end_file(sink->context, err) < 0)
                return error_prefix(err, "/%s", file->path);
        return 0;
}

/* ---- a file as text ---- */

static int begin_text(void *context, struct tree_inode *inode, struct error *err)
{
        (void)context;
        (void)inode;
        (void)err;
        return 0;
}

/* What is read so is not sparse, and zeros at its end would mean nothing. */
static int append_text(void *context, const void *data, size_t size, uint64_t offset,
                       struct error *err)
{
        (void)offset;
        return strbuf_append_mem(context, data, size) < 0 ? error_no_memory(err) : 0;
}

static int end_text(void *context, struct error *err)
{
        (void)context;
        (void)err;
        return 0;
}

int rootfs_tree_read(struct rootfs_tree *rootfs, const char *path, size_t limit,
                     struct strbuf *content, struct error *err)
{
        const struct content_sink sink = { begin_text, append_text, end_text, content };
        const struct tree_node *node = tree_lookup(rootfs->tree, path);
        auto_rootfs_file struct rootfs_file file = ROOTFS_FILE_INIT;

        if (!node || node->inode->meta.type != ENTRY_FILE)
                return 0;
        if (node->inode->meta.size > limit)
                return error_set(err, EFBIG, "/%s: larger than %zu bytes", path, limit);
        if (rootfs_file_open(&file, rootfs, path, node->inode, err) < 0)
                return -1;
        return rootfs_file_copy(&file, node->inode, &sink, err);
}
