#include "commands/record.h"

#include <errno.h>
#include <string.h>

#include "squashfs/squashfs.h"
#include "util/root_file.h"

static int read_from_image(struct squashfs_image *image, struct strbuf *text, struct error *err)
{
        struct squashfs_stat st;
        squashfs_ref file;
        char buffer[16384];
        int found = squashfs_find(image, IMAGE_RECORD_PATH, &file, err);

        if (found <= 0)
                return found;
        if (squashfs_stat(image, file, &st, err) < 0)
                return -1;
        if (st.meta.type != ENTRY_FILE)
                return 0;
        if (st.meta.size > IMAGE_RECORD_LIMIT)
                return error_set(err, EFBIG, "larger than %u bytes", IMAGE_RECORD_LIMIT);
        while (text->length < st.meta.size) {
                ssize_t n = squashfs_read(image, file, buffer, sizeof(buffer), text->length, err);

                if (n < 0)
                        return -1;
                if (n == 0)
                        return error_set(err, EBADMSG, "it ends early");
                if (strbuf_append_mem(text, buffer, (size_t)n) < 0)
                        return error_no_memory(err);
        }
        return 1;
}

int record_read_image(int image_fd, const char *name, struct image_record *ret, struct error *err)
{
        auto_squashfs_image struct squashfs_image *image = squashfs_open(image_fd, name, err);
        auto_strbuf struct strbuf text = STRBUF_INIT;
        int found;

        if (!image)
                return -1;
        found = read_from_image(image, &text, err);
        if (found > 0 && image_record_parse(strbuf_text(&text), text.length, ret, err) < 0)
                found = -1;
        return found < 0 ? error_prefix(err, "%s: /" IMAGE_RECORD_PATH, name) : found;
}

int record_read_container(int root_fd, struct image_record *ret, struct error *err)
{
        auto_strbuf struct strbuf text = STRBUF_INIT;

        if (root_file_read(root_fd, "/" IMAGE_RECORD_PATH, IMAGE_RECORD_LIMIT, &text, err) < 0)
                return err->code == ENOENT ? 0 : -1;
        if (image_record_parse(strbuf_text(&text), text.length, ret, err) < 0)
                return error_prefix(err, "/" IMAGE_RECORD_PATH);
        return 1;
}
