#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "layer/layer.h"
#include "layout/output.h"
#include "util/cancel.h"
#include "util/cleanup.h"
#include "util/io.h"

#define COPY_SIZE (256 * 1024)

int archive_output_begin(struct layout_output *output, struct temp_file *ret_layer,
                         struct error *err)
{
        if (!output->options->replace &&
            faccessat(output->parent_fd, output->name, F_OK, AT_SYMLINK_NOFOLLOW) == 0)
                return error_set(err, EEXIST, "it exists already (--force replaces it)");
        if (temp_file_create(&output->archive, output->parent_fd, output->name, 0644, err) < 0)
                return -1;
        /* Its size has to be known before it can be packed. */
        return temp_file_create(ret_layer, output->parent_fd, output->name, 0644, err);
}

/* ---- entries ---- */

static int add_directory(struct tar_writer *tar, const char *path, struct error *err)
{
        const struct entry_meta meta = { .type = ENTRY_DIRECTORY, .mode = 0755 };

        return tar_writer_begin(tar, path, &meta, NULL, 0, err);
}

static int begin_file(struct tar_writer *tar, const char *path, uint64_t size, struct error *err)
{
        const struct entry_meta meta = { .type = ENTRY_FILE, .mode = 0644, .size = size };

        return tar_writer_begin(tar, path, &meta, NULL, 0, err);
}

static int add_text(struct tar_writer *tar, const char *path, const char *text, size_t length,
                    struct error *err)
{
        return begin_file(tar, path, length, err) < 0 ? -1
                                                      : tar_writer_data(tar, text, length, err);
}

static void blob_path(const struct image_descriptor *descriptor, char *path, size_t size)
{
        (void)snprintf(path, size, BLOBS_SHA256 "/%s", descriptor->digest + strlen("sha256:"));
}

static int add_blob(struct tar_writer *tar, const struct image_descriptor *descriptor,
                    const struct strbuf *text, struct error *err)
{
        char path[128];

        blob_path(descriptor, path, sizeof(path));
        return add_text(tar, path, strbuf_text(text), text->length, err);
}

static int add_layer(struct tar_writer *tar, const struct layout_image *image, struct error *err)
{
        auto_free char *buffer = malloc(COPY_SIZE);
        int fd = image->layer_file.fd;
        char path[128];
        ssize_t count;

        if (!buffer)
                return error_no_memory(err);
        blob_path(&image->layer, path, sizeof(path));
        if (lseek(fd, 0, SEEK_SET) < 0)
                return error_errno(err, "seek");
        if (begin_file(tar, path, image->layer.size, err) < 0)
                return -1;
        while ((count = io_read_full(fd, buffer, COPY_SIZE)) > 0)
                if (tar_writer_data(tar, buffer, (size_t)count, err) < 0 || cancel_check(err) < 0)
                        return -1;
        return count < 0 ? error_errno(err, "read") : 0;
}

/* ---- the archive ---- */

struct file_sink {
        struct byte_sink base;
        int fd;
};

static int file_write(struct byte_sink *base, const void *data, size_t size, struct error *err)
{
        const struct file_sink *sink = (const struct file_sink *)base;

        return io_write_full(sink->fd, data, size) < 0 ? error_errno(err, "write") : 0;
}

static int write_archive(struct layout_output *output, const struct layout_image *image,
                         const struct strbuf *index, struct error *err)
{
        struct file_sink sink = { .base = { .write = file_write }, .fd = output->archive.fd };
        auto_tar_writer struct tar_writer *tar = tar_writer_new(&sink.base, err);

        if (!tar)
                return -1;
        if (add_text(tar, LAYOUT_FILE, IMAGE_OCI_LAYOUT, strlen(IMAGE_OCI_LAYOUT), err) < 0 ||
            add_text(tar, INDEX_FILE, strbuf_text(index), index->length, err) < 0 ||
            add_directory(tar, BLOBS, err) < 0 || add_directory(tar, BLOBS_SHA256, err) < 0 ||
            add_blob(tar, &image->manifest, image->manifest_text, err) < 0 ||
            add_blob(tar, &image->config, image->config_text, err) < 0 ||
            add_layer(tar, image, err) < 0)
                return -1;
        return tar_writer_finish(tar, err);
}

int archive_output_finish(struct layout_output *output, struct layout_image *image,
                          struct error *err)
{
        const struct layout_options *options = output->options;
        auto_strbuf struct strbuf index = STRBUF_INIT;

        if (image_oci_write_index(NULL, 0, &image->manifest, options->tag, false, &index, err) <
                    0 ||
            write_archive(output, image, &index, err) < 0)
                return -1;
        return temp_file_publish(&output->archive, output->name, options->replace, err);
}
