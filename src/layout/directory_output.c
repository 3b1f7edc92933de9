#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "layout/output.h"
#include "util/cleanup.h"
#include "util/io.h"

/* An index of as many images as image_oci_write_index takes. */
#define INDEX_SIZE_LIMIT (64u << 20)

static int write_file(int dir_fd, const char *name, const char *text, size_t length, bool replace,
                      struct error *err)
{
        auto_discard struct temp_file file = TEMP_FILE_INIT;

        if (temp_file_create(&file, dir_fd, name, 0644, err) < 0)
                return -1;
        if (io_write_full(file.fd, text, length) < 0)
                return error_errno(err, "write");
        return temp_file_publish(&file, name, replace, err);
}

/* ---- beginning ---- */

static int open_blobs(struct layout_output *output, struct error *err)
{
        if ((mkdirat(output->dir_fd, BLOBS, 0755) < 0 && errno != EEXIST) ||
            (mkdirat(output->dir_fd, BLOBS_SHA256, 0755) < 0 && errno != EEXIST))
                return error_errno(err, BLOBS_SHA256);
        output->blobs_fd = openat(output->dir_fd, BLOBS_SHA256, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        return output->blobs_fd < 0 ? error_errno(err, BLOBS_SHA256) : 0;
}

static int create_directory(struct layout_output *output, struct error *err)
{
        if (temp_dir_create(&output->created, output->parent_fd, output->name, 0755, err) < 0)
                return -1;
        output->dir_fd = openat(output->created.fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (output->dir_fd < 0)
                return error_errno(err, "open");
        if (write_file(output->dir_fd, LAYOUT_FILE, IMAGE_OCI_LAYOUT, strlen(IMAGE_OCI_LAYOUT),
                       false, err) < 0)
                return -1;
        return open_blobs(output, err);
}

/*
 * A file without a name can get one in any directory of its file system, so nothing is
 * made before the end, and not even SIGKILL leaves a part.
 */
static int begin_new(struct layout_output *output, struct temp_file *ret_layer, struct error *err)
{
        if (temp_file_create(ret_layer, output->parent_fd, output->name, 0644, err) < 0)
                return -1;
        if (!ret_layer->name)
                return 0;
        temp_file_discard(ret_layer);
        if (create_directory(output, err) < 0)
                return -1;
        return temp_file_create(ret_layer, output->blobs_fd, "layer", 0644, err);
}

static bool is_empty(int fd)
{
        auto_closedir DIR *dir = NULL;
        const struct dirent *entry;
        int copy = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

        dir = copy < 0 ? NULL : fdopendir(copy);
        while (dir && (entry = readdir(dir)))
                if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
                        return false;
        return dir != NULL;
}

/* One that exists must be a layout; an empty one becomes one. */
static int open_directory(struct layout_output *output, struct error *err)
{
        auto_strbuf struct strbuf checked = STRBUF_INIT;

        if (faccessat(output->dir_fd, LAYOUT_FILE, F_OK, 0) < 0) {
                if (!is_empty(output->dir_fd))
                        return error_set(err, ENOTEMPTY, "the directory is no OCI image layout");
                return write_file(output->dir_fd, LAYOUT_FILE, IMAGE_OCI_LAYOUT,
                                  strlen(IMAGE_OCI_LAYOUT), false, err);
        }
        output->has_index = io_read_file(output->dir_fd, INDEX_FILE, INDEX_SIZE_LIMIT,
                                         &output->old_index, err) == 0;
        if (!output->has_index)
                return err->code == ENOENT ? 0 : -1;
        /* Better now than when everything has been compressed. */
        if (image_oci_write_index(strbuf_text(&output->old_index), output->old_index.length, NULL,
                                  output->options->tag, output->options->replace, &checked,
                                  err) < 0)
                return -1;
        return 0;
}

int directory_output_begin(struct layout_output *output, struct temp_file *ret_layer,
                           struct error *err)
{
        output->dir_fd =
                openat(output->parent_fd, output->name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (output->dir_fd < 0)
                return errno == ENOENT ? begin_new(output, ret_layer, err)
                                       : error_errno(err, "open");
        if (open_directory(output, err) < 0 || open_blobs(output, err) < 0)
                return -1;
        return temp_file_create(ret_layer, output->blobs_fd, "layer", 0644, err);
}

/* ---- the end ---- */

/* The name of a blob's file. */
static const char *hex_of(const struct image_descriptor *descriptor)
{
        return descriptor->digest + strlen("sha256:");
}

/* A blob that is there already is the same. */
static int tolerate_existing(int result, struct error *err)
{
        return result < 0 && err->code == EEXIST ? 0 : result;
}

static int add_text(struct layout_output *output, const struct image_descriptor *descriptor,
                    const struct strbuf *text, struct error *err)
{
        return tolerate_existing(write_file(output->blobs_fd, hex_of(descriptor), strbuf_text(text),
                                            text->length, false, err),
                                 err);
}

static int add_image(struct layout_output *output, struct layout_image *image,
                     const struct strbuf *index, struct error *err)
{
        if (tolerate_existing(
                    temp_file_publish(&image->layer_file, hex_of(&image->layer), false, err), err) <
                    0 ||
            add_text(output, &image->config, image->config_text, err) < 0 ||
            add_text(output, &image->manifest, image->manifest_text, err) < 0)
                return -1;
        return write_file(output->dir_fd, INDEX_FILE, strbuf_text(index), index->length, true, err);
}

int directory_output_finish(struct layout_output *output, struct layout_image *image,
                            struct error *err)
{
        auto_strbuf struct strbuf index = STRBUF_INIT;
        const char *old = output->has_index ? strbuf_text(&output->old_index) : NULL;

        if (output->dir_fd < 0) {
                if (create_directory(output, err) < 0)
                        return -1;
                image->layer_file.dir_fd = output->blobs_fd;
        }
        if (image_oci_write_index(old, output->old_index.length, &image->manifest,
                                  output->options->tag, output->options->replace, &index,
                                  err) < 0 ||
            add_image(output, image, &index, err) < 0)
                return -1;
        return output->created.name ? temp_dir_publish(&output->created, output->name, false, err)
                                    : 0;
}
