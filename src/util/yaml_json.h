/*
 * YAML documents from untrusted senders, read only. yaml_json.c is the only user of libyaml,
 * which is loaded on first use.
 */
#pragma once

#include <stddef.h>

#include "util/error.h"
#include "util/strbuf.h"

/* The most nodes of a document, aliases counted each time, and the most bytes of the result. */
#define YAML_NODE_LIMIT 50000u
#define YAML_TEXT_LIMIT (8u << 20)

/*
 * Append a document as JSON text, for util/json.h to read. Every scalar but null becomes a
 * string: whether "0" is a name or a number is known only to who reads the member. Merge
 * keys ("<<") are keys like others.
 *
 * Returns 0, or -1 with *err: EBADMSG for what is no single document, is nested deeper
 * than JSON_WRITER_DEPTH or is over the limits above; ENOENT without libyaml.
 */
int yaml_to_json(const char *text, size_t length, struct strbuf *json, struct error *err);
