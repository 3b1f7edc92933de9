/*
 * JSON text (RFC 8259) for what "--json" prints, indented for people or in one line. Reading
 * documents is util/json.h.
 *
 * A member of an object has a key, an item of an array has none (NULL). Text that
 * is not UTF-8, as file names may be, has U+FFFD for each byte that does not belong.
 * A failed allocation shows in the text's .failed, so one check at the end will do:
 *
 *      struct json_writer writer = { .text = &text };
 *      json_write_object(&writer, NULL);
 *      json_write_text(&writer, "name", name);
 *      json_write_end(&writer);
 *      if (text.failed) return error_no_memory(err);
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "util/strbuf.h"

/* The deepest nesting of what the program prints. */
#define JSON_WRITER_DEPTH 16u

struct json_writer {
        struct strbuf *text; /* borrowed; appended to */
        bool compact;         /* one line */
        unsigned int depth;
        bool in_array[JSON_WRITER_DEPTH]; /* of each open value */
        bool has_items;                   /* the innermost open value is not empty */
};

/* Open an object or an array; json_write_end closes the innermost one. */
void json_write_object(struct json_writer *writer, const char *key);
void json_write_array(struct json_writer *writer, const char *key);

/* Close it. The outermost one ends the document with a newline. */
void json_write_end(struct json_writer *writer);

void json_write_text(struct json_writer *writer, const char *key,
                     const char *value); /* NULL: null */
void json_write_number(struct json_writer *writer, const char *key, int64_t value);
/* A value that is JSON already; it stands in the document as it is. */
void json_write_raw(struct json_writer *writer, const char *key, const char *json);
void json_write_bool(struct json_writer *writer, const char *key, bool value);
