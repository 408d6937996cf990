/* SPDX-License-Identifier: LGPL-3.0-or-later */
#include "base/hash.h"

#include <blake3.h>
#include <errno.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/random.h>

struct hasher {
    EVP_MD_CTX *context;
    const EVP_MD *digest;
};

/* Looking a digest up by name costs more than hashing a small git object (foundation.md section 2), so it is done once.
 */
static pthread_once_t once = PTHREAD_ONCE_INIT;
static EVP_MD *digest_sha256, *digest_sha1;
static pthread_key_t thread_hasher; /* the hasher of sha256(), one a thread */

/* OpenSSL refuses these calls only when it is out of memory or was built without the digest. */
static void must(bool done)
{
    if (!done)
        abort();
}

static void end_thread_hasher(void *hasher)
{
    hasher_free(hasher);
}

static void fetch(void)
{
    digest_sha256 = EVP_MD_fetch(NULL, "SHA256", NULL);
    digest_sha1 = EVP_MD_fetch(NULL, "SHA1", NULL);
    must(digest_sha256 && digest_sha1 && pthread_key_create(&thread_hasher, end_thread_hasher) == 0);
}

static struct hasher *hasher_make(const EVP_MD *digest)
{
    struct hasher *hasher = malloc(sizeof *hasher);
    must(hasher);
    *hasher = (struct hasher){EVP_MD_CTX_new(), digest};
    must(hasher->context && EVP_DigestInit_ex2(hasher->context, digest, NULL) == 1);
    return hasher;
}

struct hasher *hasher_sha256(void)
{
    pthread_once(&once, fetch);
    return hasher_make(digest_sha256);
}

struct hasher *hasher_sha1(void)
{
    pthread_once(&once, fetch);
    return hasher_make(digest_sha1);
}

void hasher_add(struct hasher *hasher, const void *data, size_t len)
{
    must(EVP_DigestUpdate(hasher->context, data, len) == 1);
}

void hasher_end(struct hasher *hasher, uint8_t *digest)
{
    must(EVP_DigestFinal_ex(hasher->context, digest, NULL) == 1);
    must(EVP_DigestInit_ex2(hasher->context, hasher->digest, NULL) == 1);
}

struct hasher *hasher_copy(const struct hasher *hasher)
{
    struct hasher *copy = hasher_make(hasher->digest);
    must(EVP_MD_CTX_copy_ex(copy->context, hasher->context) == 1);
    return copy;
}

void hasher_free(struct hasher *hasher)
{
    if (!hasher)
        return;
    EVP_MD_CTX_free(hasher->context);
    free(hasher);
}

static struct hasher *own_hasher(void)
{
    pthread_once(&once, fetch);
    struct hasher *hasher = pthread_getspecific(thread_hasher);
    if (!hasher) {
        hasher = hasher_make(digest_sha256);
        must(pthread_setspecific(thread_hasher, hasher) == 0);
    }
    return hasher;
}

void sha256(struct str data, uint8_t digest[SHA256_SIZE])
{
    struct hasher *hasher = own_hasher();
    hasher_add(hasher, data.data, data.len);
    hasher_end(hasher, digest);
}

#define BLOCK 64 /* bytes that SHA-256 takes at a time */

/* RFC 2104, on the thread's own digest: OpenSSL's HMAC() looks up and allocates more than it computes for short texts, and
 * a leaf of the log takes five. */
void hmac_sha256(struct str key, struct str data, uint8_t digest[SHA256_SIZE])
{
    uint8_t inner[BLOCK] = {0}, outer[BLOCK];
    if (key.len > BLOCK)
        sha256(key, inner);
    else if (key.len)
        memcpy(inner, key.data, key.len);
    for (size_t i = 0; i < BLOCK; i++) {
        outer[i] = inner[i] ^ 0x5c;
        inner[i] ^= 0x36;
    }
    struct hasher *hasher = own_hasher();
    hasher_add(hasher, inner, BLOCK);
    hasher_add(hasher, data.data, data.len);
    hasher_end(hasher, digest);
    hasher_add(hasher, outer, BLOCK);
    hasher_add(hasher, digest, SHA256_SIZE);
    hasher_end(hasher, digest);
    OPENSSL_cleanse(inner, sizeof inner);
    OPENSSL_cleanse(outer, sizeof outer);
}

void hmac_sha1(struct str key, struct str data, uint8_t digest[SHA1_SIZE])
{
    pthread_once(&once, fetch);
    must(HMAC(digest_sha1, key.data ? key.data : "", (int)key.len, (const unsigned char *)data.data, data.len, digest,
              NULL) != NULL);
}

/* BLAKE3 finds out once what the processor can do, and notes it without a lock: before there is a second thread. */
static __attribute__((constructor)) void choose_code(void)
{
    static const uint8_t zeros[2 * BLAKE3_CHUNK_LEN];
    uint8_t digest[BLAKE3_SIZE];
    blake3((struct str){(const char *)zeros, sizeof zeros}, digest);
}

void blake3(struct str data, uint8_t digest[BLAKE3_SIZE])
{
    blake3_hasher hasher;
    blake3_hasher_init(&hasher);
    blake3_hasher_update(&hasher, data.data, data.len);
    blake3_hasher_finalize(&hasher, digest, BLAKE3_SIZE);
}

void random_bytes(void *out, size_t len)
{
    unsigned char *at = out;
    while (len) {
        ssize_t got = getrandom(at, len, 0);
        if (got < 0 && errno == EINTR)
            continue;
        must(got > 0);
        at += got;
        len -= (size_t)got;
    }
}

bool equal_secret(const void *a, const void *b, size_t len)
{
    return CRYPTO_memcmp(a, b, len) == 0;
}
