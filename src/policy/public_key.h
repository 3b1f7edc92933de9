/* Signatures by public keys. public_key.c is a user of libcrypto, loaded on first use. */
#pragma once

#include <stddef.h>

#include "util/error.h"

/*
 * Whether the key has signed the data: ECDSA and RSA (PKCS #1 v1.5) over SHA-256, or
 * Ed25519, as cosign uses them.
 *
 * pem  SubjectPublicKeyInfo, "-----BEGIN PUBLIC KEY-----"
 *
 * Returns 0; or -1 with *err: EKEYREJECTED when it has not, EINVAL for a key of no use.
 */
int public_key_verify(const char *pem, const void *data, size_t size, const void *signature,
                      size_t signature_size, struct error *err);
