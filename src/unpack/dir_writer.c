/*
 * A finished tree as a directory: directories first, then what is in them, files being
 * moved from the stage to their names, then the directories' own modes and times, which
 * would not survive what is made inside them.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "unpack/dir_cache.h"
#include "unpack/stage.h"
#include "unpack/unpack.h"
#include "util/cancel.h"
#include "util/cleanup.h"

/*
 * Directories held open, well below the usual limit of 1024. None are kept longer: with
 * threads beside, a larger table of descriptors costs 8 ms, and each is needed twice only.
 */
#define OPEN_DIRECTORIES_MAX 256

struct dir_writer {
        int root_fd;
        struct maker maker;
        struct stage stage;
};

/* What dir_writer_finish works on. */
struct placement {
        struct dir_writer *writer;
        struct plan plan;               /* directories only */
        const struct tree_node **nodes; /* of the plan's directories, by number */
        size_t capacity;                /* of nodes */
        struct dir_cache dirs;
};

struct dir_writer *dir_writer_new(int dir_fd, int stage_fd, const struct unpack_options *options,
                                  struct error *err)
{
        auto_free struct dir_writer *writer = calloc(1, sizeof(*writer));
        auto_close int root_fd = openat(dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

        if (!writer) {
                error_no_memory(err);
                return NULL;
        }
        if (root_fd < 0) {
                error_errno(err, "open the directory to write to");
                return NULL;
        }
        writer->maker.report = options->report;
        writer->maker.keep_owners = options->keep_owners;
        if (stage_init(&writer->stage, stage_fd, options->threads, &writer->maker, err) < 0)
                return NULL;
        writer->root_fd = TAKE_FD(root_fd);
        return TAKE_PTR(writer);
}

void dir_writer_free(struct dir_writer *writer)
{
        stage_release(&writer->stage);
        (void)close(writer->root_fd);
        free(writer);
}

int dir_writer_begin_file(struct dir_writer *writer, struct tree_inode *file, struct error *err)
{
        return stage_begin(&writer->stage, file, err);
}

int dir_writer_append(struct dir_writer *writer, const void *data, size_t size, uint64_t offset,
                      struct error *err)
{
        return stage_append(&writer->stage, data, size, offset, err);
}

int dir_writer_end_file(struct dir_writer *writer, struct error *err)
{
        return stage_end(&writer->stage, err);
}

/* ---- placing ---- */

/* A symbolic link, FIFO or socket with several names is made on the stage, as files are. */
static int stage_special(struct dir_writer *writer, struct tree_inode *inode, struct error *err)
{
        char path[STAGE_PATH_SIZE];

        if (inode->sink != 0)
                return 0;
        if (stage_number(&writer->stage, inode, path, err) < 0)
                return -1;
        return make_special(&writer->maker, writer->stage.fd, path, &inode->meta, err);
}

static int place(struct dir_writer *writer, int directory, const struct tree_node *node,
                 struct error *err)
{
        struct tree_inode *inode = node->inode;
        char path[STAGE_PATH_SIZE];

        switch (inode->meta.type) {
        case ENTRY_CHAR_DEVICE:
        case ENTRY_BLOCK_DEVICE:
                return 0; /* made by the runtime where they are wanted */
        case ENTRY_FILE:
                if (inode->sink == 0)
                        return error_set(err, EIO, "its content was never given");
                break;
        default:
                if (inode->links == 1)
                        return make_special(&writer->maker, directory, node->name, &inode->meta,
                                            err);
                if (stage_special(writer, inode, err) < 0)
                        return -1;
        }
        stage_path(inode, path);
        if (inode->links > 1) {
                if (linkat(writer->stage.fd, path, directory, node->name, 0) < 0)
                        return error_errno(err, "link");
        } else if (renameat(writer->stage.fd, path, directory, node->name) < 0) {
                return error_errno(err, "rename");
        }
        return 0;
}

/* ---- directories ---- */

static int add_directory(struct placement *placement, struct plan_directory *parent,
                         const struct tree_node *node, struct error *err)
{
        size_t count = placement->plan.directory_count;

        if (count == placement->capacity) {
                size_t capacity = count > 0 ? 2 * count : 256;
                const struct tree_node **nodes =
                        reallocarray(placement->nodes, capacity, sizeof(*nodes));

                if (!nodes)
                        return error_no_memory(err);
                placement->nodes = nodes;
                placement->capacity = capacity;
        }
        placement->nodes[count] = node;
        return plan_add_directory(&placement->plan, parent, 0, node->inode->meta.mode, node->name,
                                  err)
                       ? 0
                       : -1;
}

static int fill_directory(struct placement *placement, struct plan_directory *directory,
                          struct error *err)
{
        const struct tree_node *node = placement->nodes[directory->number];
        int fd = dir_cache_open(&placement->dirs, directory, err);

        if (fd < 0)
                return -1;
        for (size_t i = 0; i < node->child_count; i++) {
                const struct tree_node *child = node->children[i];
                int status;

                if (child->inode->meta.type != ENTRY_DIRECTORY)
                        status = place(placement->writer, fd, child, err);
                else if (mkdirat(fd, child->name,
                                 make_mode(ENTRY_DIRECTORY, child->inode->meta.mode) & 01777) < 0)
                        status = error_errno(err, "mkdir");
                else
                        status = add_directory(placement, directory, child, err);
                if (status < 0)
                        return plan_error(err, "extract", directory, child->name);
        }
        return cancel_check(err);
}

static int end_directory(struct placement *placement, const struct plan_directory *directory,
                         struct error *err)
{
        const struct entry_meta *meta = &placement->nodes[directory->number]->inode->meta;
        struct dir_writer *writer = placement->writer;
        int fd = dir_cache_open(&placement->dirs, directory, err);

        if (fd < 0)
                return -1;
        if (make_set_xattrs(&writer->maker, fd, &meta->xattrs, err) < 0 ||
            make_set_owner(&writer->maker, fd, NULL, meta->uid, meta->gid, err) < 0 ||
            make_set_mode(fd, make_mode(ENTRY_DIRECTORY, meta->mode), err) < 0 ||
            make_set_time(fd, meta->mtime, err) < 0)
                return plan_error(err, "extract", directory, NULL);
        return 0;
}

static void placement_release(struct placement *placement)
{
        dir_cache_release(&placement->dirs);
        plan_release(&placement->plan);
        free(placement->nodes);
}

int dir_writer_finish(struct dir_writer *writer, struct tree *tree, struct error *err)
{
        auto_cleanup(placement_release) struct placement placement = {
                .writer = writer,
                .plan = PLAN_INIT,
                .dirs = DIR_CACHE_INIT,
        };
        const struct plan *plan = &placement.plan;

        if (stage_flush(&writer->stage, err) < 0)
                return error_prefix(err, "extract");
        if (dir_cache_init(&placement.dirs, writer->root_fd, OPEN_DIRECTORIES_MAX, 0, err) < 0 ||
            add_directory(&placement, NULL, tree_root(tree), err) < 0)
                return -1;
        /* The list of directories is also the queue of those to fill. */
        for (size_t i = 0; i < plan->directory_count; i++)
                if (fill_directory(&placement, plan->directories[i], err) < 0)
                        return -1;
        for (size_t i = 0; i < plan->directory_count; i++)
                if (end_directory(&placement, plan->directories[i], err) < 0)
                        return -1;
        return 0;
}
