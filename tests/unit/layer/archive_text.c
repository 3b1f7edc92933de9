#include "archive_text.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "util/cleanup.h"

/* A stream that reads a few bytes at a time and lends nothing. */
struct small_reads {
        struct stream base;
        const char *data;
        size_t left, most;
        int failure; /* errno value instead of the end */
};

static ssize_t small_read(struct stream *stream, void *buffer, size_t size, struct error *err)
{
        struct small_reads *self = (struct small_reads *)stream;
        size_t n = size < self->most ? size : self->most;

        if (n > self->left)
                n = self->left;
        if (n == 0 && self->failure)
                return error_set(err, self->failure, "the source failed");
        memcpy(buffer, self->data, n);
        self->data += n;
        self->left -= n;
        return (ssize_t)n;
}

static void small_close(struct stream *stream)
{
        free(stream);
}

struct stream *open_small(const struct strbuf *tar, size_t most, int failure)
{
        struct small_reads *self = calloc(1, sizeof(*self));

        assert_non_null(self);
        *self = (struct small_reads){ { .read = small_read, .close = small_close },
                                      strbuf_text(tar),
                                      tar->length,
                                      most,
                                      failure };
        return &self->base;
}

static int print_content(struct layer *layer, const struct entry *entry, struct strbuf *text,
                         struct error *err)
{
        uint64_t end = 0, offset;
        const void *data;
        ssize_t n;

        while ((n = layer_read(layer, &data, &offset, err)) > 0) {
                if (offset > end)
                        strbuf_printf(text, "~%ju~", (uintmax_t)(offset - end));
                strbuf_append_mem(text, data, (size_t)n);
                end = offset + (uint64_t)n;
        }
        if (n == 0 && entry->meta.size > end)
                strbuf_printf(text, "~%ju~", (uintmax_t)(entry->meta.size - end));
        return (int)n;
}

static int print_entry(struct layer *layer, const struct entry *entry, struct strbuf *text,
                       struct error *err)
{
        strbuf_append(text, entry->path);
        switch (entry->meta.type) {
        case ENTRY_DIRECTORY:
                strbuf_append(text, "/");
                break;
        case ENTRY_SYMLINK:
                strbuf_printf(text, " > %s", entry->meta.target);
                break;
        case ENTRY_HARDLINK:
                strbuf_printf(text, " @ %s", entry->meta.target);
                break;
        case ENTRY_FIFO:
                strbuf_append(text, " |");
                break;
        default:
                assert_int_equal(entry->meta.type, ENTRY_FILE);
                strbuf_append(text, " = ");
                if (print_content(layer, entry, text, err) < 0)
                        return -1;
        }
        for (size_t i = 0; i < entry->meta.xattrs.count; i++) {
                const struct xattr *xattr = &entry->meta.xattrs.items[i];

                strbuf_printf(text, " %s:%.*s", xattr->name, (int)xattr->size,
                              (const char *)xattr->value);
        }
        strbuf_append(text, "\n");
        return 0;
}

int print_stream(struct stream *stream, struct strbuf *text, struct error *err)
{
        auto_layer struct layer *layer = layer_open(stream, err);
        struct entry entry = { .path = NULL };
        int result;

        if (!layer)
                return -1;
        while ((result = layer_next(layer, &entry, err)) > 0) {
                result = print_entry(layer, &entry, text, err);
                entry_release(&entry);
                if (result < 0)
                        return -1;
        }
        if (result == 0)
                assert_int_equal(layer_next(layer, &entry, err), 0);
        return result;
}

int print_archive(const struct strbuf *tar, struct strbuf *text, struct error *err)
{
        return print_stream(stream_from_memory(strbuf_text(tar), tar->length, err), text, err);
}

void check_archive(const struct strbuf *tar, const char *expected)
{
        static const size_t reads[] = { 1, 511, 100000 };
        struct error err = ERROR_INIT;
        auto_strbuf struct strbuf text = STRBUF_INIT;

        assert_false(tar->failed);
        if (print_archive(tar, &text, &err) < 0)
                fail_msg("%s", err.message);
        assert_string_equal(strbuf_text(&text), expected);
        for (size_t i = 0; i < ARRAY_SIZE(reads); i++) {
                strbuf_reset(&text);
                if (print_stream(open_small(tar, reads[i], 0), &text, &err) < 0)
                        fail_msg("%s", err.message);
                assert_string_equal(strbuf_text(&text), expected);
        }
}

void check_error(const struct strbuf *tar, int code, const char *message)
{
        auto_strbuf struct strbuf text = STRBUF_INIT;
        struct error err = ERROR_INIT;

        assert_int_equal(print_archive(tar, &text, &err), -1);
        if (err.code != code || !strstr(err.message, message))
                fail_msg("expected %s, got: %s", message, err.message);
}
