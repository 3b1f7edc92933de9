/*
 * For static programs, in the place of sha256.c: of libcrypto's functions these alone
 * come without its providers, which it loads as modules. They are deprecated in favour of
 * those, not replaced.
 */
#define OPENSSL_SUPPRESS_DEPRECATED
#include "util/sha256.h"

#include <openssl/sha.h>
#include <stdlib.h>

struct sha256 {
        SHA256_CTX context;
};

struct sha256 *sha256_new(struct error *err)
{
        struct sha256 *sha = calloc(1, sizeof(*sha));

        if (!sha) {
                error_no_memory(err);
                return NULL;
        }
        sha256_reset(sha);
        return sha;
}

void sha256_free(struct sha256 *sha)
{
        free(sha);
}

void sha256_reset(struct sha256 *sha)
{
        (void)SHA256_Init(&sha->context);
}

void sha256_update(struct sha256 *sha, const void *data, size_t size)
{
        (void)SHA256_Update(&sha->context, data, size);
}

void sha256_finish_raw(struct sha256 *sha, unsigned char raw[SHA256_SIZE])
{
        (void)SHA256_Final(raw, &sha->context);
}
