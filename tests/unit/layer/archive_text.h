/*
 * Archives printed as text: a line for every entry, "path" and "/", "= content",
 * "> target", "@ target" or "|"; holes of sparse files are printed as "~SIZE~",
 * extended attributes as "name:value".
 */
#pragma once

#include "layer/layer.h"
#include "util/strbuf.h"

/*
 * A stream over an archive that gives at most so many bytes a call and lends
 * nothing; at its end it fails with the error number failure, unless that is 0.
 */
struct stream *open_small(const struct strbuf *tar, size_t most, int failure);

/* Print all that the stream holds. Returns 0, or -1 with *err. */
int print_stream(struct stream *stream, struct strbuf *text, struct error *err);
int print_archive(const struct strbuf *tar, struct strbuf *text, struct error *err);

/* Fail the test unless the archive prints as expected, in whatever pieces it is read. */
void check_archive(const struct strbuf *tar, const char *expected);

/* Fail the test unless reading fails with this code and a message that contains this one. */
void check_error(const struct strbuf *tar, int code, const char *message);
