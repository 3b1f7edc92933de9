#include "util/strbuf.h"

#include <stdarg.h>
#include <stdint.h>
#include <string.h>

static int reserve(struct strbuf *buf, size_t extra)
{
        size_t wanted, capacity;
        char *data;

        if (buf->failed || extra > SIZE_MAX / 2 - buf->length - 1)
                goto failed;
        wanted = buf->length + extra + 1;
        if (wanted <= buf->capacity)
                return 0;

        capacity = buf->capacity ? buf->capacity : 64;
        while (capacity < wanted)
                capacity *= 2;
        data = realloc(buf->data, capacity);
        if (!data)
                goto failed;
        buf->data = data;
        buf->capacity = capacity;
        return 0;

failed:
        buf->failed = true;
        return -1;
}

void strbuf_release(struct strbuf *buf)
{
        free(buf->data);
        *buf = (struct strbuf)STRBUF_INIT;
}

int strbuf_append_mem(struct strbuf *buf, const void *data, size_t size)
{
        if (reserve(buf, size) < 0)
                return -1;
        if (size > 0)
                memcpy(buf->data + buf->length, data, size);
        buf->length += size;
        buf->data[buf->length] = '\0';
        return 0;
}

int strbuf_append(struct strbuf *buf, const char *text)
{
        return strbuf_append_mem(buf, text, strlen(text));
}

int strbuf_append_char(struct strbuf *buf, char c)
{
        return strbuf_append_mem(buf, &c, 1);
}

int strbuf_printf(struct strbuf *buf, const char *fmt, ...)
{
        va_list args, again;
        int length;

        va_start(args, fmt);
        va_copy(again, args);
        length = vsnprintf(NULL, 0, fmt, args);
        va_end(args);
        if (length < 0 || reserve(buf, (size_t)length) < 0) {
                va_end(again);
                buf->failed = true;
                return -1;
        }
        (void)vsnprintf(buf->data + buf->length, (size_t)length + 1, fmt, again);
        va_end(again);
        buf->length += (size_t)length;
        return 0;
}

int strbuf_append_fstab(struct strbuf *buf, const char *text)
{
        for (; *text; text++) {
                unsigned char c = (unsigned char)*text;

                if (c <= ' ' || c == 0x7f || strchr("\\#$", c))
                        strbuf_printf(buf, "\\%03o", (unsigned int)c);
                else
                        strbuf_append_char(buf, *text);
        }
        return buf->failed ? -1 : 0;
}

void strbuf_reset(struct strbuf *buf)
{
        strbuf_truncate(buf, 0);
}

void strbuf_truncate(struct strbuf *buf, size_t length)
{
        if (length > buf->length || !buf->data)
                return;
        buf->length = length;
        buf->data[length] = '\0';
}

const char *strbuf_text(const struct strbuf *buf)
{
        return buf->data ? buf->data : "";
}

char *strbuf_take(struct strbuf *buf)
{
        char *data = NULL;

        if (!buf->failed && (buf->data || reserve(buf, 0) == 0)) {
                buf->data[buf->length] = '\0';
                data = TAKE_PTR(buf->data);
        }
        strbuf_release(buf);
        return data;
}
