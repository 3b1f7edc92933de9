/*
 * The layer on its way: tar → digest of the tar → compression → digest of the blob → file;
 * then the documents that refer to it.
 */
#include "layout/layout.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "codec/codec.h"
#include "layout/blob_sink.h"
#include "layout/output.h"
#include "util/cleanup.h"

struct layout_writer {
        struct layout_options options;
        struct layout_output output;
        struct layout_image image;
        struct blob_sink tar, blob;
        struct codec_compressor *compressor; /* NULL: none */
};

static const char *const layer_types[] = {
        [LAYOUT_GZIP] = IMAGE_OCI_LAYER "+gzip",
        [LAYOUT_ZSTD] = IMAGE_OCI_LAYER "+zstd",
        [LAYOUT_PLAIN] = IMAGE_OCI_LAYER,
};

static void output_release(struct layout_output *output)
{
        temp_file_discard(&output->archive);
        temp_dir_discard(&output->created);
        if (output->blobs_fd >= 0)
                (void)close(TAKE_FD(output->blobs_fd));
        if (output->dir_fd >= 0)
                (void)close(TAKE_FD(output->dir_fd));
        if (output->parent_fd >= 0)
                (void)close(TAKE_FD(output->parent_fd));
        strbuf_release(&output->old_index);
        free(TAKE_PTR(output->path));
}

void layout_writer_free(struct layout_writer *writer)
{
        if (writer->compressor)
                codec_compressor_close(writer->compressor);
        blob_sink_release(&writer->tar);
        blob_sink_release(&writer->blob);
        temp_file_discard(&writer->image.layer_file);
        output_release(&writer->output);
        free(writer);
}

/* Split the path into directory and name. */
static int open_parent(struct layout_output *output, struct error *err)
{
        const struct layout_options *options = output->options;
        size_t length = strlen(options->path);
        char *slash;

        while (!options->archive && length > 1 && options->path[length - 1] == '/')
                length--;
        output->path = strndup(options->path, length);
        if (!output->path)
                return error_no_memory(err);
        slash = strrchr(output->path, '/');
        output->name = slash ? slash + 1 : output->path;
        if (slash)
                *slash = '\0';
        output->parent_fd = open(!slash                  ? "."
                                 : slash == output->path ? "/"
                                                         : output->path,
                                 O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (output->parent_fd < 0)
                return error_errno(err, "%s", slash ? output->path : "current directory");
        /* "." and the like are directories that exist. */
        if (*output->name == '\0')
                output->name = ".";
        return 0;
}

static int open_sinks(struct layout_writer *writer, struct error *err)
{
        const struct layout_options *options = &writer->options;
        struct byte_sink *next = &writer->blob.base;

        if (blob_sink_init(&writer->blob, NULL, writer->image.layer_file.fd, err) < 0)
                return -1;
        if (options->compression != LAYOUT_PLAIN) {
                writer->compressor = codec_compressor_open(
                        options->compression == LAYOUT_ZSTD ? CODEC_ZSTD : CODEC_GZIP,
                        options->threads, next, err);
                if (!writer->compressor)
                        return -1;
                next = codec_compressor_sink(writer->compressor);
        }
        return blob_sink_init(&writer->tar, next, -1, err);
}

static int begin(struct layout_writer *writer, struct error *err)
{
        struct temp_file *layer = &writer->image.layer_file;

        if (open_parent(&writer->output, err) < 0)
                return -1;
        if ((writer->options.archive ? archive_output_begin(&writer->output, layer, err)
                                     : directory_output_begin(&writer->output, layer, err)) < 0)
                return -1;
        return open_sinks(writer, err);
}

struct layout_writer *layout_writer_new(const struct layout_options *options, struct error *err)
{
        auto_layout_writer struct layout_writer *writer = calloc(1, sizeof(*writer));

        if (!writer) {
                error_no_memory(err);
                return NULL;
        }
        writer->options = *options;
        writer->output = (struct layout_output)LAYOUT_OUTPUT_INIT;
        writer->output.options = &writer->options;
        writer->image.layer_file = (struct temp_file)TEMP_FILE_INIT;
        return begin(writer, err) < 0 ? NULL : TAKE_PTR(writer);
}

struct byte_sink *layout_writer_layer(struct layout_writer *writer)
{
        return &writer->tar.base;
}

int layout_writer_end_layer(struct layout_writer *writer, char diff_id[IMAGE_DIGEST_SIZE],
                            struct error *err)
{
        struct image_descriptor *layer = &writer->image.layer;

        if (writer->compressor && codec_compressor_finish(writer->compressor, err) < 0)
                return -1;
        blob_sink_digest(&writer->tar, diff_id);
        blob_sink_digest(&writer->blob, layer->digest);
        layer->size = writer->blob.size;
        layer->media_type = (char *)layer_types[writer->options.compression];
        return 0;
}

/* Describe a document that is to be a blob. */
static int describe(struct image_descriptor *ret, const char *media_type, const struct strbuf *text,
                    struct error *err)
{
        strcpy(ret->digest, "sha256:");
        ret->media_type = (char *)media_type;
        ret->size = text->length;
        return sha256_of(strbuf_text(text), text->length, ret->digest + strlen("sha256:"), err);
}

int layout_writer_finish(struct layout_writer *writer, const struct strbuf *config,
                         uint64_t *ret_bytes, struct error *err)
{
        struct layout_image *image = &writer->image;
        auto_strbuf struct strbuf manifest = STRBUF_INIT;

        image->config_text = config;
        image->manifest_text = &manifest;
        if (describe(&image->config, IMAGE_OCI_CONFIG, config, err) < 0 ||
            image_oci_write_manifest(&image->config, &image->layer, &manifest, err) < 0 ||
            describe(&image->manifest, IMAGE_OCI_MANIFEST, &manifest, err) < 0)
                return -1;
        if ((writer->options.archive ? archive_output_finish(&writer->output, image, err)
                                     : directory_output_finish(&writer->output, image, err)) < 0)
                return -1;
        *ret_bytes = image->layer.size;
        return 0;
}
