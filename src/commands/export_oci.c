/*
 * A container's tree as the only layer of an OCI image. Entries stand in the order of the
 * tree; the first name of a file has its content, and others are hard links to it.
 */
#include <errno.h>
#include <string.h>

#include "commands/export_output.h"
#include "commands/record.h"
#include "env/env.h"
#include "layer/layer.h"

/* Parts of a sparse file; with more holes than this they are written as zeros. */
#define RANGES_MAX 4096

#define ENVIRONMENT_LIMIT (1u << 20)

struct oci_export {
        struct rootfs_tree *rootfs;
        struct tar_writer *tar;
        struct strlist first_names; /* of files with several; tree_inode.data points into it */
        int64_t newest;             /* time of the newest file */
        bool warned;
        uint64_t written; /* of the current file; bytes */
};

static void oci_export_release(struct oci_export *export)
{
        if (export->tar)
                tar_writer_free(export->tar);
        strlist_release(&export->first_names);
}

/* ---- content ---- */

static int write_zeros(struct oci_export *export, uint64_t size, struct error *err)
{
        static const char zeros[65536];

        while (size > 0) {
                size_t part = size < sizeof(zeros) ? (size_t)size : sizeof(zeros);

                if (tar_writer_data(export->tar, zeros, part, err) < 0)
                        return -1;
                size -= part;
        }
        return 0;
}

static int begin_file(void *context, struct tree_inode *inode, struct error *err)
{
        (void)inode;
        (void)err;
        ((struct oci_export *)context)->written = 0;
        return 0;
}

static int append(void *context, const void *data, size_t size, uint64_t offset, struct error *err)
{
        struct oci_export *export = context;

        if (write_zeros(export, offset - export->written, err) < 0 ||
            tar_writer_data(export->tar, data, size, err) < 0)
                return -1;
        export->written = offset + size;
        return 0;
}

static int end_file(void *context, struct error *err)
{
        (void)context;
        (void)err;
        return 0;
}

/* Where a sparse file has data. Returns how many parts, 0 for all of it, or -1 with *err. */
static int find_ranges(struct rootfs_file *file, struct tar_range ranges[RANGES_MAX],
                       struct error *err)
{
        uint64_t offset = 0, end = 0;
        int count = 0, more;

        while ((more = rootfs_file_next_data(file, &offset, &end, err)) > 0) {
                struct tar_range *last = count > 0 ? &ranges[count - 1] : NULL;

                if (last && last->offset + last->size == offset) {
                        last->size += end - offset;
                } else {
                        if (count == RANGES_MAX)
                                return 0;
                        ranges[count++] = (struct tar_range){ offset, end - offset };
                }
                offset = end;
        }
        if (more < 0)
                return -1;
        /* A file of nothing but a hole has a map, too: of nothing, at its end. */
        if (count == 0)
                ranges[count++] = (struct tar_range){ file->size, 0 };
        return count == 1 && ranges[0].size == file->size ? 0 : count;
}

static int add_file(struct oci_export *export, const char *path, struct tree_inode *inode,
                    struct error *err)
{
        const struct content_sink sink = { begin_file, append, end_file, export };
        auto_rootfs_file struct rootfs_file file = ROOTFS_FILE_INIT;
        struct tar_range ranges[RANGES_MAX];
        int count;

        if (rootfs_file_open(&file, export->rootfs, path, inode, err) < 0)
                return -1;
        count = file.size == 0 || file.dense ? 0 : find_ranges(&file, ranges, err);
        if (count < 0 ||
            tar_writer_begin(export->tar, path, &inode->meta, ranges, (size_t)count, err) < 0)
                return -1;
        return rootfs_file_copy(&file, inode, &sink, err);
}

/* ---- entries ---- */

static int add_hard_link(struct oci_export *export, const char *path, struct tree_inode *inode,
                         struct error *err)
{
        struct entry_meta meta = inode->meta;

        meta.type = ENTRY_HARDLINK;
        meta.target = inode->data;
        meta.xattrs = (struct xattr_list){ .items = NULL };
        return tar_writer_begin(export->tar, path, &meta, NULL, 0, err);
}

/* Remember the name under which a file with several is in the archive. */
static int note_first_name(struct oci_export *export, const char *path, struct tree_inode *inode,
                           struct error *err)
{
        if (inode->links < 2)
                return 0;
        if (strlist_append(&export->first_names, path) < 0)
                return error_no_memory(err);
        inode->data = export->first_names.items[export->first_names.count - 1];
        return 0;
}

static void warn_left_out(struct oci_export *export, const char *path)
{
        if (!export->warned)
                report_warn(export->rootfs->context->report,
                            "/%s: a layer holds no sockets and no device nodes; they are left out",
                            path);
        export->warned = true;
}

static int add_node(void *context, const char *path, struct tree_node *node, struct error *err)
{
        struct oci_export *export = context;
        struct tree_inode *inode = node->inode;

        export->rootfs->context->report->progress.entries++;
        switch (inode->meta.type) {
        case ENTRY_SOCKET:
        case ENTRY_CHAR_DEVICE:
        case ENTRY_BLOCK_DEVICE:
                warn_left_out(export, path);
                return 0;
        default:
                break;
        }
        if (inode->meta.mtime > export->newest)
                export->newest = inode->meta.mtime;
        if (inode->data)
                return add_hard_link(export, path, inode, err);
        if (note_first_name(export, path, inode, err) < 0)
                return -1;
        if (inode->meta.type == ENTRY_FILE)
                return add_file(export, path, inode, err);
        return tar_writer_begin(export->tar, path, &inode->meta, NULL, 0, err);
}

static int write_layer(struct oci_export *export, struct byte_sink *target, struct error *err)
{
        export->tar = tar_writer_new(target, err);
        if (!export->tar || tree_walk(export->rootfs->tree, add_node, export, err) < 0)
                return -1;
        return tar_writer_finish(export->tar, err);
}

/* ---- configuration ---- */

/* The start script of a container that does not say what it was made from. */
static int guess_config(struct rootfs_tree *rootfs, struct image_config *known, struct error *err)
{
        auto_strbuf struct strbuf text = STRBUF_INIT;
        const struct strlist nothing = STRLIST_INIT;

        if (rootfs_tree_read(rootfs, "etc/environment", ENVIRONMENT_LIMIT, &text, err) < 0 ||
            env_add_text(&known->env, strbuf_text(&text), text.length, &nothing, err) < 0)
                return -1;
        if (!tree_lookup(rootfs->tree, "etc/rc"))
                return 0;
        return strlist_append(&known->entrypoint, "/bin/sh") < 0 ||
                               strlist_append(&known->entrypoint, "/etc/rc") < 0
                       ? error_no_memory(err)
                       : 0;
}

static int write_config(struct oci_export *export, const char *diff_id, struct strbuf *text,
                        struct error *err)
{
        struct rootfs_tree *rootfs = export->rootfs;
        const struct config *config = rootfs->context->config;
        auto_image_record struct image_record record = { .provenance = NULL };
        auto_image_config struct image_config known = { .os = NULL };
        struct image_platform platform;
        int found = rootfs->image
                            ? record_read_image(rootfs->image_fd, rootfs->place.image, &record, err)
                            : record_read_container(rootfs->root_fd, &record, err);

        if (found < 0 || image_platform_parse(NULL, &platform, err) < 0)
                return -1;
        known.architecture = strdup(platform.architecture);
        if (!known.architecture)
                return error_no_memory(err);
        if (!record.config && guess_config(rootfs, &known, err) < 0)
                return -1;
        return image_oci_write_config(record.config, &known, diff_id,
                                      config->has_source_date_epoch ? config->source_date_epoch
                                                                    : export->newest,
                                      text, err);
}

/* SOURCE_DATE_EPOCH, as for an image file. */
static int set_time(void *context, const char *path, struct tree_node *node, struct error *err)
{
        (void)path;
        (void)err;
        node->inode->meta.mtime = *(const int64_t *)context;
        return 0;
}

int export_oci(struct rootfs_tree *rootfs, const struct layout_options *options, struct error *err)
{
        const struct config *config = rootfs->context->config;
        int64_t epoch = config->source_date_epoch;
        auto_cleanup(oci_export_release) struct oci_export export = { .rootfs = rootfs };
        auto_layout_writer struct layout_writer *writer = layout_writer_new(options, err);
        auto_strbuf struct strbuf document = STRBUF_INIT;
        char diff_id[IMAGE_DIGEST_SIZE];
        uint64_t bytes;

        if (!writer)
                return -1;
        if (config->has_source_date_epoch && tree_walk(rootfs->tree, set_time, &epoch, err) < 0)
                return -1;
        if (write_layer(&export, layout_writer_layer(writer), err) < 0 ||
            layout_writer_end_layer(writer, diff_id, err) < 0 ||
            write_config(&export, diff_id, &document, err) < 0 ||
            layout_writer_finish(writer, &document, &bytes, err) < 0)
                return -1;
        report_info(rootfs->context->report, "Created %s: an image of one layer, %.1f MB",
                    options->path, (double)bytes / 1e6);
        return 0;
}
