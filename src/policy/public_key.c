#include "policy/public_key.h"

#include <errno.h>
#include <limits.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <pthread.h>
#include <stdbool.h>
#include <string.h>

#include "util/cleanup.h"
#include "util/dynlib.h"

#define RSA_BITS_MINIMUM 2048

static struct {
        __typeof__(BIO_new_mem_buf) *bio_new;
        __typeof__(BIO_free) *bio_free;
        __typeof__(PEM_read_bio_PUBKEY) *read_key;
        __typeof__(EVP_PKEY_free) *key_free;
        __typeof__(EVP_PKEY_get_base_id) *key_type;
        __typeof__(EVP_PKEY_get_bits) *key_bits;
        __typeof__(EVP_MD_CTX_new) *ctx_new;
        __typeof__(EVP_MD_CTX_free) *ctx_free;
        __typeof__(EVP_DigestVerifyInit_ex) *verify_init;
        __typeof__(EVP_DigestVerify) *verify;

        struct error failure;
} crypto;

static void load_crypto(void)
{
        const struct dynlib_symbol symbols[] = {
                { "BIO_new_mem_buf", (void **)&crypto.bio_new },
                { "BIO_free", (void **)&crypto.bio_free },
                { "PEM_read_bio_PUBKEY", (void **)&crypto.read_key },
                { "EVP_PKEY_free", (void **)&crypto.key_free },
                { "EVP_PKEY_get_base_id", (void **)&crypto.key_type },
                { "EVP_PKEY_get_bits", (void **)&crypto.key_bits },
                { "EVP_MD_CTX_new", (void **)&crypto.ctx_new },
                { "EVP_MD_CTX_free", (void **)&crypto.ctx_free },
                { "EVP_DigestVerifyInit_ex", (void **)&crypto.verify_init },
                { "EVP_DigestVerify", (void **)&crypto.verify },
        };

        (void)dynlib_load("libcrypto.so.3", "libssl3", symbols, ARRAY_SIZE(symbols),
                          &crypto.failure);
}

static void cleanup_key(EVP_PKEY **key)
{
        crypto.key_free(*key);
}

static void cleanup_context(EVP_MD_CTX **context)
{
        crypto.ctx_free(*context);
}

static EVP_PKEY *read_key(const char *pem)
{
        size_t length = strlen(pem);
        BIO *bio = length <= INT_MAX ? crypto.bio_new(pem, (int)length) : NULL;
        EVP_PKEY *key = bio ? crypto.read_key(bio, NULL, NULL, NULL) : NULL;

        if (bio)
                (void)crypto.bio_free(bio);
        return key;
}

/* The digest that goes with a kind of key: NULL for those that have their own. */
static int choose_digest(const EVP_PKEY *key, const char **ret, struct error *err)
{
        *ret = "SHA256";
        switch (crypto.key_type(key)) {
        case EVP_PKEY_EC:
                return 0;
        case EVP_PKEY_RSA:
                if (crypto.key_bits(key) >= RSA_BITS_MINIMUM)
                        return 0;
                return error_set(err, EINVAL, "an RSA key of less than %d bits", RSA_BITS_MINIMUM);
        case EVP_PKEY_ED25519:
                *ret = NULL;
                return 0;
        default:
                return error_set(err, EINVAL, "a key that is neither ECDSA, RSA nor Ed25519");
        }
}

int public_key_verify(const char *pem, const void *data, size_t size, const void *signature,
                      size_t signature_size, struct error *err)
{
        static pthread_once_t once = PTHREAD_ONCE_INIT;
        const char *digest;

        (void)pthread_once(&once, load_crypto);
        if (crypto.failure.code) {
                *err = crypto.failure;
                return -1;
        }

        auto_cleanup(cleanup_key) EVP_PKEY *key = read_key(pem);
        auto_cleanup(cleanup_context) EVP_MD_CTX *context = crypto.ctx_new();

        if (!context)
                return error_no_memory(err);
        if (!key)
                return error_set(err, EINVAL, "not a public key in PEM");
        if (choose_digest(key, &digest, err) < 0)
                return -1;
        if (crypto.verify_init(context, NULL, digest, NULL, NULL, key, NULL) != 1)
                return error_set(err, EINVAL, "libcrypto cannot use the key");
        if (crypto.verify(context, signature, signature_size, data, size) != 1)
                return error_set(err, EKEYREJECTED, "not signed by this key");
        return 0;
}
