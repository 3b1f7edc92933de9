#include "util/json_writer.h"

#include <inttypes.h>
#include <string.h>

#define REPLACEMENT "\xef\xbf\xbd" /* U+FFFD */

/*
 * The length of the well-formed UTF-8 sequence at text (Unicode 15, table 3-7), 0 when
 * there is none. A NUL is never within one, so this does not read past the end.
 */
static size_t utf8_length(const unsigned char *text)
{
        size_t length;
        unsigned char low = 0x80, high = 0xbf; /* bounds of the second byte */

        if (text[0] < 0x80)
                return 1;
        if (text[0] < 0xc2 || text[0] > 0xf4)
                return 0;
        length = text[0] < 0xe0 ? 2 : text[0] < 0xf0 ? 3 : 4;
        if (text[0] == 0xe0)
                low = 0xa0; /* overlong */
        else if (text[0] == 0xed)
                high = 0x9f; /* surrogates */
        else if (text[0] == 0xf0)
                low = 0x90; /* overlong */
        else if (text[0] == 0xf4)
                high = 0x8f; /* past U+10FFFF */
        if (text[1] < low || text[1] > high)
                return 0;
        for (size_t i = 2; i < length; i++)
                if (text[i] < 0x80 || text[i] > 0xbf)
                        return 0;
        return length;
}

static void append_string(struct strbuf *text, const char *value)
{
        (void)strbuf_append_char(text, '"');
        for (const unsigned char *at = (const unsigned char *)value; *at;) {
                size_t length = utf8_length(at);

                if (length == 0)
                        (void)strbuf_append(text, REPLACEMENT);
                else if (*at == '"' || *at == '\\')
                        (void)strbuf_printf(text, "\\%c", *at);
                else if (*at == '\n')
                        (void)strbuf_append(text, "\\n");
                else if (*at < 0x20 || *at == 0x7f) /* 0x7f: a terminal's business, too */
                        (void)strbuf_printf(text, "\\u%04x", *at);
                else
                        (void)strbuf_append_mem(text, at, length);
                at += length > 0 ? length : 1;
        }
        (void)strbuf_append_char(text, '"');
}

static void new_line(struct json_writer *writer)
{
        if (writer->compact)
                return;
        (void)strbuf_printf(writer->text, "\n%*s", (int)writer->depth * 2, "");
}

/* What stands before a value: comma, indentation, key. */
static void begin_value(struct json_writer *writer, const char *key)
{
        if (writer->depth == 0)
                return;
        if (writer->has_items)
                (void)strbuf_append_char(writer->text, ',');
        writer->has_items = true;
        new_line(writer);
        if (key) {
                append_string(writer->text, key);
                (void)strbuf_append(writer->text, writer->compact ? ":" : ": ");
        }
}

static void open_value(struct json_writer *writer, const char *key, bool array)
{
        begin_value(writer, key);
        (void)strbuf_append_char(writer->text, array ? '[' : '{');
        /* Past the limit the program has a mistake: the text is given up, not the stack. */
        if (writer->depth == JSON_WRITER_DEPTH) {
                writer->text->failed = true;
                return;
        }
        writer->in_array[writer->depth++] = array;
        writer->has_items = false;
}

void json_write_object(struct json_writer *writer, const char *key)
{
        open_value(writer, key, false);
}

void json_write_array(struct json_writer *writer, const char *key)
{
        open_value(writer, key, true);
}

void json_write_end(struct json_writer *writer)
{
        if (writer->depth == 0)
                return;
        writer->depth--;
        if (writer->has_items)
                new_line(writer);
        (void)strbuf_append_char(writer->text, writer->in_array[writer->depth] ? ']' : '}');
        writer->has_items = true; /* of the enclosing one: this was an item */
        if (writer->depth == 0)
                (void)strbuf_append_char(writer->text, '\n');
}

void json_write_text(struct json_writer *writer, const char *key, const char *value)
{
        begin_value(writer, key);
        if (value)
                append_string(writer->text, value);
        else
                (void)strbuf_append(writer->text, "null");
}

void json_write_number(struct json_writer *writer, const char *key, int64_t value)
{
        begin_value(writer, key);
        (void)strbuf_printf(writer->text, "%" PRId64, value);
}

void json_write_bool(struct json_writer *writer, const char *key, bool value)
{
        begin_value(writer, key);
        (void)strbuf_append(writer->text, value ? "true" : "false");
}

void json_write_raw(struct json_writer *writer, const char *key, const char *json)
{
        begin_value(writer, key);
        (void)strbuf_append(writer->text, json);
}
