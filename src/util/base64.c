#include "util/base64.h"

#include <string.h>

static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

int base64_encode(const void *data, size_t size, struct strbuf *result)
{
        const unsigned char *in = data;

        for (size_t i = 0; i < size; i += 3) {
                size_t left = size - i;
                unsigned int bits = (unsigned int)in[i] << 16;

                if (left > 1)
                        bits |= (unsigned int)in[i + 1] << 8;
                if (left > 2)
                        bits |= in[i + 2];
                strbuf_append_char(result, digits[bits >> 18]);
                strbuf_append_char(result, digits[bits >> 12 & 63]);
                strbuf_append_char(result, left > 1 ? digits[bits >> 6 & 63] : '=');
                strbuf_append_char(result, left > 2 ? digits[bits & 63] : '=');
        }
        return result->failed ? -1 : 0;
}

int base64_decode(const char *text, struct strbuf *result)
{
        unsigned int bits = 0, count = 0; /* collected and not yet appended */

        for (; *text && *text != '='; text++) {
                const char *digit = strchr(digits, *text);

                if (*text == '\n' || *text == '\r')
                        continue;
                if (!digit)
                        return -1;
                bits = bits << 6 | (unsigned int)(digit - digits);
                count += 6;
                if (count >= 8) {
                        count -= 8;
                        strbuf_append_char(result, (char)(bits >> count & 0xff));
                }
        }
        text += strspn(text, "=\r\n");
        return *text || count == 6 || result->failed ? -1 : 0;
}
