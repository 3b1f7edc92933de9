#include "util/sha256.h"

void sha256_print(const unsigned char raw[SHA256_SIZE], char hex[SHA256_HEX_SIZE])
{
        static const char digits[] = "0123456789abcdef";

        for (size_t i = 0; i < SHA256_SIZE; i++) {
                hex[2 * i] = digits[raw[i] >> 4];
                hex[2 * i + 1] = digits[raw[i] & 15];
        }
        hex[SHA256_HEX_SIZE - 1] = '\0';
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
