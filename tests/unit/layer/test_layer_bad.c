/* layer/: archives that are cut off, damaged, or made to cost too much. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "archive_text.h"
#include "layer/layer.h"
#include "tar_writer.h"
#include "util/cleanup.h"

/* A sparse file's map that would take all memory. */
static void test_headers_are_bounded(void **state)
{
        auto_strbuf struct strbuf tar = STRBUF_INIT, body = STRBUF_INIT, map = STRBUF_INIT;

        (void)state;
        strbuf_append(&map, "9999999\n");
        while (map.length < 6 << 20)
                strbuf_append(&map, "0\n0\n0\n0\n0\n0\n0\n0\n");
        pax_record(&body, "GNU.sparse.major", "1", 1);
        pax_record(&body, "GNU.sparse.minor", "0", 1);
        pax_record(&body, "GNU.sparse.realsize", "3000", 4);
        tar_pax(&tar, 'x', &body);
        tar_add(&tar, &(struct tar_header){ .name = "s", .size = map.length });
        tar_content(&tar, map.data, map.length);
        check_error(&tar, EFBIG, "headers of one file");
}

/* Content does not count as headers, read or not. */
static void test_large_content_is_skipped(void **state)
{
        auto_strbuf struct strbuf tar = STRBUF_INIT, zeros = STRBUF_INIT;
        struct error err = ERROR_INIT;
        auto_layer struct layer *layer = NULL;
        struct entry entry = { .path = NULL };

        (void)state;
        while (zeros.length < 10 << 20)
                strbuf_append(&zeros, "abcdefghijklmnopqrstuvwxyz");
        tar_file(&tar, "large", zeros.data);
        tar_add(&tar, &(struct tar_header){ .name = "null", .type = '3', .size = zeros.length });
        tar_file(&tar, "small", "x");
        layer = layer_open(stream_from_memory(tar.data, tar.length, &err), &err);
        assert_non_null(layer);
        assert_int_equal(layer_next(layer, &entry, &err), 1);
        entry_release(&entry);
        assert_int_equal(layer_next(layer, &entry, &err), 1);
        assert_string_equal(entry.path, "small");
        entry_release(&entry);
        assert_int_equal(layer_next(layer, &entry, &err), 0);
}

/* A file may be missing its end at a header only, where the end blocks are missing, too. */
static void test_truncated(void **state)
{
        auto_strbuf struct strbuf tar = STRBUF_INIT, body = STRBUF_INIT;
        static const size_t headers[] = { 512, 512 + 1024, 512 + 1024 + 2048 };
        size_t length;

        (void)state;
        tar_add(&tar, &(struct tar_header){ .name = "dir/", .type = '5' });
        tar_file(&tar, "dir/file", "content");
        pax_record(&body, "path", "another", 7);
        tar_pax(&tar, 'x', &body);
        tar_file(&tar, "x", "content");
        length = tar.length;
        tar_end(&tar);
        for (size_t cut = 1; cut < length; cut++) {
                auto_strbuf struct strbuf text = STRBUF_INIT;
                struct error err = ERROR_INIT;
                bool whole = false;

                for (size_t i = 0; i < ARRAY_SIZE(headers); i++)
                        whole = whole || cut == headers[i];
                tar.length = cut;
                assert_int_equal(print_archive(&tar, &text, &err), whole ? 0 : -1);
                /* Less than a block is no archive at all. */
                if (!whole)
                        assert_int_equal(err.code, cut < 512 ? EBADMSG : EIO);
        }
        tar.length = length;
        check_archive(&tar, "dir/\ndir/file = content\nanother = content\n");
}

static void test_damaged(void **state)
{
        auto_strbuf struct strbuf tar = STRBUF_INIT, text = STRBUF_INIT, body = STRBUF_INIT;
        struct error err = ERROR_INIT;

        (void)state;
        strbuf_append(&text, "<html>not a layer</html>");
        check_error(&text, EBADMSG, "not a tar archive");
        while (text.length < 5000)
                strbuf_append(&text, "<html>not a layer</html>");
        check_error(&text, EBADMSG, "not a tar archive");

        tar_file(&tar, "a", "content");
        tar_file(&tar, "b", "content");
        tar_end(&tar);
        tar.data[2 * TAR_BLOCK] = 'c'; /* the checksum is for "b" */
        check_error(&tar, EBADMSG, "damaged");

        strbuf_reset(&tar);
        strbuf_append(&body, "99 path=too short\n");
        tar_pax(&tar, 'x', &body);
        tar_file(&tar, "a", "content");
        check_error(&tar, EBADMSG, "pax");

        strbuf_reset(&tar);
        for (int i = 0; i < 40; i++) {
                strbuf_reset(&body);
                pax_record(&body, "path", "x", 1);
                tar_pax(&tar, 'x', &body);
        }
        tar_file(&tar, "a", "content");
        check_error(&tar, EBADMSG, "damaged");

        strbuf_reset(&tar);
        tar_file(&tar, "a", "content");
        tar.length -= 100;
        strbuf_reset(&text);
        assert_int_equal(print_stream(open_small(&tar, 100, ENETDOWN), &text, &err), -1);
        assert_int_equal(err.code, ENETDOWN);
        assert_string_equal(err.message, "the source failed");
}

/* The stream is read to its end, so that a checksum there is seen. */
static void test_stream_is_drained(void **state)
{
        auto_strbuf struct strbuf tar = STRBUF_INIT, text = STRBUF_INIT;
        struct error err = ERROR_INIT;

        (void)state;
        tar_file(&tar, "a", "content");
        for (int i = 0; i < 10; i++)
                tar_end(&tar);
        assert_int_equal(print_stream(open_small(&tar, 512, EBADMSG), &text, &err), -1);
        assert_string_equal(err.message, "the source failed");
        assert_string_equal(strbuf_text(&text), "a = content\n");
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_truncated),
                cmocka_unit_test(test_damaged),
                cmocka_unit_test(test_headers_are_bounded),
                cmocka_unit_test(test_large_content_is_skipped),
                cmocka_unit_test(test_stream_is_drained),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
