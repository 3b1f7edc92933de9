/*
 * https:// — an image file on a web server. It is no layered image but what an import
 * would make of one, and is copied as it is.
 */
#include <string.h>
#include <strings.h>

#include "source/source.h"
#include "squashfs/squashfs.h"
#include "util/io.h"

struct copy {
        int fd;
        struct report *report;
};

static int take_size(struct registry_download *download, uint64_t size, struct error *err)
{
        struct copy *copy = download->context;

        if (size == UINT64_MAX)
                return 0;
        if (copy->report)
                copy->report->progress.bytes_total += size;
        return io_check_space(copy->fd, "the image file", size, "give another place with --output",
                              err);
}

static int take_data(struct registry_download *download, const void *data, size_t size,
                     struct error *err)
{
        struct copy *copy = download->context;

        if (io_write_full(copy->fd, data, size) < 0)
                return error_errno(err, "write");
        if (copy->report) {
                copy->report->progress.bytes_done += size;
                copy->report->progress.bytes_written += size;
        }
        return 0;
}

bool source_is_image_file(const char *uri)
{
        return strncasecmp(uri, "https://", 8) == 0 || strncasecmp(uri, "http://", 7) == 0;
}

int source_fetch_image_file(const char *uri, const struct source_options *options, int fd,
                            struct report *report, struct error *err)
{
        struct copy copy = { .fd = fd, .report = report };
        struct registry_download download = {
                .url = uri, .context = &copy, .size = take_size, .data = take_data
        };
        auto_squashfs_image struct squashfs_image *image = NULL;

        if (registry_check_transport(&options->registry, "https", NULL, err) < 0)
                return error_prefix(err, "%s", uri);
        report_info(report, "Downloading image file");
        if (registry_download(&download, &options->registry, report, err) < 0)
                return -1;
        image = squashfs_open(fd, uri, err);
        return image ? 0 : -1;
}
