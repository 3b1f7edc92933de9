#include "tar_writer.h"

#include <stdio.h>
#include <string.h>

#define NAME_AT     0
#define MODE_AT     100
#define UID_AT      108
#define GID_AT      116
#define SIZE_AT     124
#define MTIME_AT    136
#define CHECKSUM_AT 148
#define TYPE_AT     156
#define LINK_AT     157
#define MAGIC_AT    257
#define EXTRA_AT    345

static void put_text(char *field, size_t size, const char *text)
{
        size_t length = strlen(text);

        memcpy(field, text, length < size ? length : size);
}

static void put_octal(char *field, size_t size, uint64_t value)
{
        field[--size] = '\0';
        while (size-- > 0) {
                field[size] = (char)('0' + (value & 7));
                value >>= 3;
        }
}

void tar_add(struct strbuf *tar, const struct tar_header *header)
{
        char block[TAR_BLOCK] = { 0 };
        unsigned int sum = 0;

        put_text(block + NAME_AT, 100, header->name);
        put_octal(block + MODE_AT, 8, header->mode ? header->mode : 0644);
        put_octal(block + UID_AT, 8, 1000);
        if (header->owner)
                put_text(block + UID_AT, 8, header->owner);
        put_octal(block + GID_AT, 8, 100);
        put_octal(block + SIZE_AT, 12, header->size);
        put_octal(block + MTIME_AT, 12, 1234567890);
        block[TYPE_AT] = header->type ? header->type : '0';
        if (header->link)
                put_text(block + LINK_AT, 100, header->link);
        if (!header->format)
                memcpy(block + MAGIC_AT, "ustar\00000", 8);
        else
                memcpy(block + MAGIC_AT, header->format, *header->format ? 8 : 0);
        if (header->extra)
                memcpy(block + EXTRA_AT, header->extra, header->extra_size);

        memset(block + CHECKSUM_AT, ' ', 8);
        for (size_t i = 0; i < sizeof(block); i++)
                sum += (unsigned char)block[i];
        put_octal(block + CHECKSUM_AT, 7, sum);
        strbuf_append_mem(tar, block, sizeof(block));
}

void tar_content(struct strbuf *tar, const void *data, size_t size)
{
        static const char zeros[TAR_BLOCK];

        strbuf_append_mem(tar, data, size);
        if (size % TAR_BLOCK != 0)
                strbuf_append_mem(tar, zeros, TAR_BLOCK - size % TAR_BLOCK);
}

void tar_file(struct strbuf *tar, const char *name, const char *content)
{
        tar_add(tar, &(struct tar_header){ .name = name, .size = strlen(content) });
        tar_content(tar, content, strlen(content));
}

void pax_record(struct strbuf *body, const char *key, const void *value, size_t size)
{
        size_t rest = strlen(key) + size + 3; /* space, "=", newline */
        size_t total = rest + 1;
        char length[24];

        /* The length counts its own digits. */
        while ((size_t)snprintf(length, sizeof(length), "%zu", total) + rest != total)
                total++;
        strbuf_printf(body, "%s %s=", length, key);
        strbuf_append_mem(body, value, size);
        strbuf_append_char(body, '\n');
}

void tar_pax(struct strbuf *tar, char type, const struct strbuf *body)
{
        tar_add(tar, &(struct tar_header){ .name = "pax", .type = type, .size = body->length });
        tar_content(tar, body->data, body->length);
}

void tar_end(struct strbuf *tar)
{
        static const char zeros[2 * TAR_BLOCK];

        strbuf_append_mem(tar, zeros, sizeof(zeros));
}
