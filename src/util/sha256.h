/*
 * SHA-256 (FIPS 180-4). The only user of libcrypto, which is loaded on first use, or
 * part of a static program (sha256_static.c).
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "util/error.h"

#define SHA256_SIZE     32
#define SHA256_HEX_SIZE 65 /* 64 lower-case hex digits and a NUL */

struct sha256; /* one running computation */

/* NULL with *err on failure; release with sha256_free, which accepts NULL. */
struct sha256 *sha256_new(struct error *err);
void sha256_free(struct sha256 *sha);

/* Start again from nothing. */
void sha256_reset(struct sha256 *sha);
void sha256_update(struct sha256 *sha, const void *data, size_t size);

/* Write the digest; a reset must come before the next update. */
void sha256_finish(struct sha256 *sha, char hex[SHA256_HEX_SIZE]);
void sha256_finish_raw(struct sha256 *sha, unsigned char raw[SHA256_SIZE]);

/* A digest as text, and back: 0, or -1 for anything but 64 lower-case hex digits. */
void sha256_print(const unsigned char raw[SHA256_SIZE], char hex[SHA256_HEX_SIZE]);
int sha256_parse(const char *hex, unsigned char raw[SHA256_SIZE]);

/* The digest of size bytes at once. Returns 0, or -1 with *err. */
int sha256_of(const void *data, size_t size, char hex[SHA256_HEX_SIZE], struct error *err);

/*
 * HMAC-SHA256 (RFC 2104) with a key of SHA256_SIZE bytes; sha is reset before and used. Compare
 * with sha256_equal, whose time does not depend on where two values differ.
 */
void sha256_hmac(struct sha256 *sha, const unsigned char key[SHA256_SIZE], const void *data,
                 size_t size, unsigned char ret[SHA256_SIZE]);
bool sha256_equal(const unsigned char one[SHA256_SIZE], const unsigned char other[SHA256_SIZE]);

static inline void cleanup_sha256(struct sha256 **sha)
{
        sha256_free(*sha);
}
#define auto_sha256 __attribute__((cleanup(cleanup_sha256)))
