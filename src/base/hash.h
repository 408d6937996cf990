/* SPDX-License-Identifier: LGPL-3.0-or-later */
#ifndef CAIRN_BASE_HASH_H
#define CAIRN_BASE_HASH_H

#include "base/str.h"

/* SHA-256, SHA-1 (git ids) and HMAC by OpenSSL; digest objects are fetched once (foundation.md section 2). */
#define SHA256_SIZE 32
#define SHA1_SIZE 20

struct hasher; /* a running digest */
struct hasher *hasher_sha256(void);
struct hasher *hasher_sha1(void);
void hasher_add(struct hasher *hasher, const void *data, size_t len);
void hasher_end(struct hasher *hasher, uint8_t *digest); /* 32 or 20 bytes; the hasher then starts anew */
struct hasher *hasher_copy(const struct hasher *hasher); /* goes on from the same place, by itself */
void hasher_free(struct hasher *hasher);

void sha256(struct str data, uint8_t digest[SHA256_SIZE]);
void hmac_sha256(struct str key, struct str data, uint8_t digest[SHA256_SIZE]);

void hmac_sha1(struct str key, struct str data, uint8_t digest[SHA1_SIZE]); /* for RFC 4226; nothing new */

#define BLAKE3_SIZE 32
void blake3(struct str data, uint8_t digest[BLAKE3_SIZE]); /* what comes in pieces is hashed by <blake3.h> itself */

void random_bytes(void *out, size_t len);                    /* from the kernel; aborts when it has none */
bool equal_secret(const void *a, const void *b, size_t len); /* in constant time */

#endif
