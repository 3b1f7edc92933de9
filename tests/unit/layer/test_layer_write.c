/* layer/: what is written as tar is read as the same entries. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "layer/layer.h"
#include "util/cleanup.h"
#include "util/strbuf.h"

struct memory_sink {
        struct byte_sink base;
        struct strbuf text;
        bool fails;
};

static int memory_write(struct byte_sink *base, const void *data, size_t size, struct error *err)
{
        struct memory_sink *sink = (struct memory_sink *)base;

        if (sink->fails)
                return error_set(err, ENOSPC, "no space");
        return strbuf_append_mem(&sink->text, data, size);
}

#define LONG_NAME                                                                                  \
        "nnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnn" \
        "nnnn"                                                                                     \
        "nnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnn" \
        "nnnn"

static const struct {
        const char *path;
        struct entry_meta meta;
        const char *content;
} entries[] = {
        { "", { .type = ENTRY_DIRECTORY, .mode = 0711, .mtime = 5 }, NULL },
        { "file",
          { .type = ENTRY_FILE, .mode = 04755, .uid = 1, .gid = 2, .mtime = 1600000000 },
          "text" },
        { "empty", { .type = ENTRY_FILE, .mode = 0600 }, "" },
        { "dir/" LONG_NAME, { .type = ENTRY_FILE, .mode = 0644, .mtime = 1 }, "long" },
        { "\xff\xfe \xc3\xa4\n", { .type = ENTRY_FILE, .mode = 0644, .mtime = 1 }, "bytes" },
        { "link",
          { .type = ENTRY_SYMLINK, .mode = 0777, .target = (char *)"../" LONG_NAME },
          NULL },
        { "hard", { .type = ENTRY_HARDLINK, .mode = 0644, .target = (char *)"file" }, NULL },
        { "fifo", { .type = ENTRY_FIFO, .mode = 0600 }, NULL },
        { "large-id", { .type = ENTRY_FILE, .mode = 0644, .uid = 3000000000, .gid = 2097152 }, "" },
        { "old", { .type = ENTRY_FILE, .mode = 0644, .mtime = -100 }, "" },
        { "future", { .type = ENTRY_FILE, .mode = 0644, .mtime = INT64_C(1) << 40 }, "" },
        { ".wh.name", { .type = ENTRY_FILE, .mode = 0644 }, "" },
};

static void write_all(struct memory_sink *sink)
{
        struct error err = ERROR_INIT;
        auto_tar_writer struct tar_writer *writer = tar_writer_new(&sink->base, &err);

        assert_non_null(writer);
        for (size_t i = 0; i < ARRAY_SIZE(entries); i++) {
                const char *content = entries[i].content ? entries[i].content : "";
                struct entry_meta meta = entries[i].meta;

                meta.size = strlen(content);
                if (tar_writer_begin(writer, entries[i].path, &meta, NULL, 0, &err) < 0 ||
                    tar_writer_data(writer, content, meta.size, &err) < 0)
                        fail_msg("%s", err.message);
        }
        assert_int_equal(tar_writer_finish(writer, &err), 0);
}

static struct layer *read_back(const struct memory_sink *sink)
{
        struct error err = ERROR_INIT;
        struct stream *stream = stream_from_memory(sink->text.data, sink->text.length, &err);
        struct layer *layer = stream ? layer_open(stream, &err) : NULL;

        if (!layer)
                fail_msg("%s", err.message);
        return layer;
}

static void test_entries(void **state)
{
        struct memory_sink sink = { .base = { memory_write } };
        auto_layer struct layer *layer = NULL;
        struct error err = ERROR_INIT;

        (void)state;
        write_all(&sink);
        layer = read_back(&sink);
        for (size_t i = 0; i < ARRAY_SIZE(entries); i++) {
                const struct entry_meta *meta = &entries[i].meta;
                auto_cleanup(entry_release) struct entry entry = { .path = NULL };

                if (layer_next(layer, &entry, &err) != 1)
                        fail_msg("%s: %s", entries[i].path, err.message);
                assert_string_equal(entry.path, entries[i].path);
                assert_int_equal(entry.meta.type, meta->type);
                assert_int_equal(entry.meta.mode, meta->mode);
                assert_int_equal(entry.meta.uid, meta->uid);
                assert_int_equal(entry.meta.gid, meta->gid);
                assert_int_equal(entry.meta.mtime, meta->mtime);
                if (meta->target)
                        assert_string_equal(entry.meta.target, meta->target);
                if (entries[i].content && *entries[i].content) {
                        const void *data = NULL;
                        uint64_t offset = 0;
                        ssize_t size = layer_read(layer, &data, &offset, &err);

                        assert_int_equal(size, strlen(entries[i].content));
                        assert_memory_equal(data, entries[i].content, size);
                }
        }
        strbuf_release(&sink.text);
}

static void test_same_bytes(void **state)
{
        struct memory_sink one = { .base = { memory_write } }, two = { .base = { memory_write } };

        (void)state;
        write_all(&one);
        write_all(&two);
        assert_int_equal(one.text.length, two.text.length);
        assert_memory_equal(one.text.data, two.text.data, one.text.length);
        strbuf_release(&one.text);
        strbuf_release(&two.text);
}

static void test_attributes(void **state)
{
        static const char value[] = "\0bi\nary\xff";
        struct memory_sink sink = { .base = { memory_write } };
        auto_cleanup(entry_meta_release) struct entry_meta meta = { .type = ENTRY_FILE };
        auto_cleanup(entry_release) struct entry entry = { .path = NULL };
        struct error err = ERROR_INIT;
        const struct xattr *xattr;

        (void)state;
        assert_int_equal(xattr_list_set(&meta.xattrs, "user.note", value, sizeof(value)), 0);
        assert_int_equal(xattr_list_set(&meta.xattrs, "user.empty", "", 0), 0);
        {
                auto_tar_writer struct tar_writer *writer = tar_writer_new(&sink.base, &err);

                assert_non_null(writer);
                assert_int_equal(tar_writer_begin(writer, "f", &meta, NULL, 0, &err), 0);
                assert_int_equal(tar_writer_finish(writer, &err), 0);
        }
        {
                auto_layer struct layer *layer = read_back(&sink);

                assert_int_equal(layer_next(layer, &entry, &err), 1);
        }
        assert_int_equal(entry.meta.xattrs.count, 2);
        xattr = xattr_list_find(&entry.meta.xattrs, "user.note");
        assert_non_null(xattr);
        assert_int_equal(xattr->size, sizeof(value));
        assert_memory_equal(xattr->value, value, sizeof(value));
        strbuf_release(&sink.text);
}

/* Holes are given as zeros, and do not get into the archive. */
static void test_sparse(void **state)
{
        static const struct tar_range ranges[] = { { 1000000, 4096 }, { 3000000, 5 } };
        static const struct tar_range nothing[] = { { 4000000, 0 } };
        const struct entry_meta meta = { .type = ENTRY_FILE, .mode = 0644, .size = 4000000 };
        struct memory_sink sink = { .base = { memory_write } };
        auto_free char *content = calloc(1, 4000000);
        struct error err = ERROR_INIT;
        uint64_t total = 0, offset = 0;
        const void *data = NULL;
        ssize_t size;

        (void)state;
        assert_non_null(content);
        memset(content + ranges[0].offset, 'x', ranges[0].size);
        memset(content + ranges[1].offset, 'y', ranges[1].size);
        {
                auto_tar_writer struct tar_writer *writer = tar_writer_new(&sink.base, &err);

                assert_non_null(writer);
                assert_int_equal(tar_writer_begin(writer, "s", &meta, ranges, 2, &err), 0);
                assert_int_equal(tar_writer_data(writer, content, 4000000, &err), 0);
                memset(content, 0, 4000000);
                assert_int_equal(tar_writer_begin(writer, "hole", &meta, nothing, 1, &err), 0);
                assert_int_equal(tar_writer_data(writer, content, 4000000, &err), 0);
                assert_int_equal(tar_writer_finish(writer, &err), 0);
        }
        assert_true(sink.text.length < 50000);
        auto_layer struct layer *layer = read_back(&sink);

        for (int i = 0; i < 2; i++) {
                auto_cleanup(entry_release) struct entry entry = { .path = NULL };

                assert_int_equal(layer_next(layer, &entry, &err), 1);
                assert_int_equal(entry.meta.size, 4000000);
                while ((size = layer_read(layer, &data, &offset, &err)) > 0) {
                        assert_true(offset >= 1000000);
                        assert_int_equal(((const char *)data)[0], offset < 2000000 ? 'x' : 'y');
                        total += (uint64_t)size;
                }
                assert_int_equal(size, 0);
        }
        assert_int_equal(total, 4096 + 5);
        strbuf_release(&sink.text);
}

static void test_refusals(void **state)
{
        const struct entry_meta socket = { .type = ENTRY_SOCKET },
                                device = { .type = ENTRY_CHAR_DEVICE },
                                file = { .type = ENTRY_FILE, .size = 3 };
        struct memory_sink sink = { .base = { memory_write } };
        struct error err = ERROR_INIT;
        auto_tar_writer struct tar_writer *writer = tar_writer_new(&sink.base, &err);

        (void)state;
        assert_non_null(writer);
        assert_int_equal(tar_writer_begin(writer, "s", &socket, NULL, 0, &err), -1);
        assert_int_equal(err.code, EINVAL);
        assert_int_equal(tar_writer_begin(writer, "d", &device, NULL, 0, &err), -1);
        assert_int_equal(tar_writer_begin(writer, "f", &file, NULL, 0, &err), 0);
        assert_int_equal(tar_writer_data(writer, "four", 4, &err), -1);
        assert_int_equal(err.code, EMSGSIZE);
        strbuf_release(&sink.text);
}

static void test_failing_target(void **state)
{
        const struct entry_meta file = { .type = ENTRY_FILE, .size = 100000 };
        struct memory_sink sink = { .base = { memory_write }, .fails = true };
        auto_free char *content = calloc(1, 100000);
        struct error err = ERROR_INIT;
        auto_tar_writer struct tar_writer *writer = tar_writer_new(&sink.base, &err);

        (void)state;
        assert_non_null(writer);
        if (tar_writer_begin(writer, "f", &file, NULL, 0, &err) == 0)
                assert_int_equal(tar_writer_data(writer, content, 100000, &err), -1);
        assert_int_equal(err.code, ENOSPC);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_entries),    cmocka_unit_test(test_same_bytes),
                cmocka_unit_test(test_attributes), cmocka_unit_test(test_sparse),
                cmocka_unit_test(test_refusals),   cmocka_unit_test(test_failing_target),
        };

        return cmocka_run_group_tests_name("layer write", tests, NULL, NULL);
}
