/* Base64 (RFC 4648 section 4), as credentials, keys and signatures are written in. Pure. */
#pragma once

#include <stddef.h>

#include "util/strbuf.h"

/* Append size bytes, encoded with padding. Returns 0, or -1 without memory. */
int base64_encode(const void *data, size_t size, struct strbuf *result);

/*
 * Append what text stands for. Line breaks are skipped, padding may be missing.
 * Returns 0; -1 when there is another character in it, when it ends in the middle
 * of a byte, or without memory (result->failed).
 */
int base64_decode(const char *text, struct strbuf *result);
