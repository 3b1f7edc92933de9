/*
 * Tar archives made by hand, header by header, so that a test can hold what no
 * program would write. Failed allocations fail the test that uses the archive.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "util/strbuf.h"

#define TAR_BLOCK 512

struct tar_header {
        const char *name;
        char type; /* 0 stands for '0' */
        const char *link;
        uint64_t size;      /* in the header; content is appended by tar_content */
        unsigned int mode;  /* 0 stands for 0644 */
        const char *format; /* "ustar\00000" unless set; 8 bytes, or "" for an old archive */
        const char *owner;  /* text of the uid field */
        const char *extra;  /* bytes from offset 345 on (the GNU fields, the ustar prefix) */
        size_t extra_size;
};

/* Append a header block. Longer names than its fields hold are cut. */
void tar_add(struct strbuf *tar, const struct tar_header *header);

/* Append content and fill its last block with zeros. */
void tar_content(struct strbuf *tar, const void *data, size_t size);

/* A header with its content. */
void tar_file(struct strbuf *tar, const char *name, const char *content);

/* Append one pax record "key=value" to a header's body. */
void pax_record(struct strbuf *body, const char *key, const void *value, size_t size);

/* Append an extended header of type 'x' or 'g'. */
void tar_pax(struct strbuf *tar, char type, const struct strbuf *body);

/* Two blocks of zeros. */
void tar_end(struct strbuf *tar);
