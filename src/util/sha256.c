#include "util/sha256.h"

#include <openssl/evp.h>
#include <pthread.h>
#include <stdlib.h>

#include "util/cleanup.h"
#include "util/dynlib.h"

static struct {
        __typeof__(EVP_MD_CTX_new) *ctx_new;
        __typeof__(EVP_MD_CTX_free) *ctx_free;
        __typeof__(EVP_DigestInit_ex) *init;
        __typeof__(EVP_DigestUpdate) *update;
        __typeof__(EVP_DigestFinal_ex) *final;
        __typeof__(EVP_MD_fetch) *fetch;

        const EVP_MD *algorithm;
        struct error failure;
} crypto;

struct sha256 {
        EVP_MD_CTX *context;
};

static void load_crypto(void)
{
        const struct dynlib_symbol symbols[] = {
                { "EVP_MD_CTX_new", (void **)&crypto.ctx_new },
                { "EVP_MD_CTX_free", (void **)&crypto.ctx_free },
                { "EVP_DigestInit_ex", (void **)&crypto.init },
                { "EVP_DigestUpdate", (void **)&crypto.update },
                { "EVP_DigestFinal_ex", (void **)&crypto.final },
                { "EVP_MD_fetch", (void **)&crypto.fetch },
        };

        if (dynlib_load("libcrypto.so.3", "libssl3", symbols, ARRAY_SIZE(symbols),
                        &crypto.failure) < 0)
                return;
        crypto.algorithm = crypto.fetch(NULL, "SHA256", NULL);
        if (!crypto.algorithm)
                error_set(&crypto.failure, ENOSYS, "libcrypto offers no SHA-256");
}

struct sha256 *sha256_new(struct error *err)
{
        static pthread_once_t once = PTHREAD_ONCE_INIT;
        auto_sha256 struct sha256 *sha = NULL;

        (void)pthread_once(&once, load_crypto);
        if (crypto.failure.code) {
                *err = crypto.failure;
                return NULL;
        }
        sha = calloc(1, sizeof(*sha));
        if (sha)
                sha->context = crypto.ctx_new();
        if (!sha || !sha->context) {
                error_no_memory(err);
                return NULL;
        }
        sha256_reset(sha);
        return TAKE_PTR(sha);
}

void sha256_free(struct sha256 *sha)
{
        if (!sha)
                return;
        crypto.ctx_free(sha->context);
        free(sha);
}

void sha256_reset(struct sha256 *sha)
{
        (void)crypto.init(sha->context, crypto.algorithm, NULL);
}

void sha256_update(struct sha256 *sha, const void *data, size_t size)
{
        (void)crypto.update(sha->context, data, size);
}

void sha256_finish_raw(struct sha256 *sha, unsigned char raw[SHA256_SIZE])
{
        (void)crypto.final(sha->context, raw, NULL);
}
