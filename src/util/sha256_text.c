/* What both forms of sha256.c have in common: text, and HMAC. */
#include "util/sha256.h"

#include <string.h>

#define HMAC_BLOCK_SIZE 64 /* of SHA-256, in bytes */

static const char digits[] = "0123456789abcdef";

void sha256_print(const unsigned char raw[SHA256_SIZE], char hex[SHA256_HEX_SIZE])
{
        for (size_t i = 0; i < SHA256_SIZE; i++) {
                hex[2 * i] = digits[raw[i] >> 4];
                hex[2 * i + 1] = digits[raw[i] & 15];
        }
        hex[SHA256_HEX_SIZE - 1] = '\0';
}

int sha256_parse(const char *hex, unsigned char raw[SHA256_SIZE])
{
        if (strspn(hex, digits) != SHA256_HEX_SIZE - 1 || hex[SHA256_HEX_SIZE - 1] != '\0')
                return -1;
        for (size_t i = 0; i < SHA256_SIZE; i++)
                raw[i] = (unsigned char)((strchr(digits, hex[2 * i]) - digits) << 4 |
                                         (strchr(digits, hex[2 * i + 1]) - digits));
        return 0;
}

void sha256_finish(struct sha256 *sha, char hex[SHA256_HEX_SIZE])
{
        unsigned char raw[SHA256_SIZE];

        sha256_finish_raw(sha, raw);
        sha256_print(raw, hex);
}

int sha256_of(const void *data, size_t size, char hex[SHA256_HEX_SIZE], struct error *err)
{
        auto_sha256 struct sha256 *sha = sha256_new(err);

        if (!sha)
                return -1;
        sha256_update(sha, data, size);
        sha256_finish(sha, hex);
        return 0;
}

void sha256_hmac(struct sha256 *sha, const unsigned char key[SHA256_SIZE], const void *data,
                 size_t size, unsigned char ret[SHA256_SIZE])
{
        unsigned char inner[HMAC_BLOCK_SIZE], outer[HMAC_BLOCK_SIZE];

        memset(inner, 0x36, sizeof(inner));
        memset(outer, 0x5c, sizeof(outer));
        for (size_t i = 0; i < SHA256_SIZE; i++) {
                inner[i] ^= key[i];
                outer[i] ^= key[i];
        }
        sha256_reset(sha);
        sha256_update(sha, inner, sizeof(inner));
        sha256_update(sha, data, size);
        sha256_finish_raw(sha, ret);
        sha256_reset(sha);
        sha256_update(sha, outer, sizeof(outer));
        sha256_update(sha, ret, SHA256_SIZE);
        sha256_finish_raw(sha, ret);
}

bool sha256_equal(const unsigned char one[SHA256_SIZE], const unsigned char other[SHA256_SIZE])
{
        unsigned char difference = 0;

        for (size_t i = 0; i < SHA256_SIZE; i++)
                difference |= one[i] ^ other[i];
        return difference == 0;
}
