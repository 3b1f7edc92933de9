/*
 * A growing string.
 *
 * Invariant: data is NULL or a NUL-terminated string of length bytes (which may
 * hold NULs of its own). A failed allocation is remembered in .failed and makes
 * every later append a no-op, so a chain of appends needs one check at its end:
 *
 *      auto_strbuf struct strbuf text = STRBUF_INIT;
 *      strbuf_append(&text, "a");
 *      strbuf_printf(&text, "%d", 1);
 *      if (text.failed) return error_no_memory(err);
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "util/cleanup.h"

struct strbuf {
        char *data;
        size_t length, capacity;
        bool failed;
};

#define STRBUF_INIT { .data = NULL }

void strbuf_release(struct strbuf *buf);
#define auto_strbuf auto_cleanup(strbuf_release)

/* Append; return 0, or -1 when memory has run out (and stay failed). */
int strbuf_append(struct strbuf *buf, const char *text);
int strbuf_append_mem(struct strbuf *buf, const void *data, size_t size);
int strbuf_append_char(struct strbuf *buf, char c);
int strbuf_printf(struct strbuf *buf, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/*
 * Append text as one field of fstab(5): blanks and control characters, and the
 * backslash, '#' (a comment) and '$' (a variable), as octal escapes. Bytes above 127 are
 * names' own. Returns as the others.
 */
int strbuf_append_fstab(struct strbuf *buf, const char *text);

/* Make the length zero, or what it was at an earlier time, and keep the memory. */
void strbuf_reset(struct strbuf *buf);
void strbuf_truncate(struct strbuf *buf, size_t length);

/* The string, never NULL; valid until the next change. */
const char *strbuf_text(const struct strbuf *buf);

/* The string as malloc'd memory that the caller frees; buf is left empty. NULL when failed. */
char *strbuf_take(struct strbuf *buf);
