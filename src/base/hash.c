/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "base/hash.h"
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/random.h>

/* Fetched once: asking OpenSSL for the algorithm at each use costs more than hashing a small object does. */
static EVP_MD *md_sha256, *md_sha1;
static pthread_once_t fetched = PTHREAD_ONCE_INIT;

static void fetch(void)
{
    md_sha256 = EVP_MD_fetch(NULL, "SHA256", NULL);
    md_sha1 = EVP_MD_fetch(NULL, "SHA1", NULL);
    if (!md_sha256 || !md_sha1)
        abort();
}

struct hasher {
    EVP_MD_CTX *context;
    const EVP_MD *md;
};

static struct hasher *hasher_new(EVP_MD *const *md)
{
    pthread_once(&fetched, fetch);
    struct hasher *hasher = malloc(sizeof *hasher);
    if (!hasher || !(hasher->context = EVP_MD_CTX_new()))
        abort();
    hasher->md = *md;
    if (!EVP_DigestInit_ex2(hasher->context, hasher->md, NULL))
        abort();
    return hasher;
}

struct hasher *hasher_sha256(void) { return hasher_new(&md_sha256); }
struct hasher *hasher_sha1(void) { return hasher_new(&md_sha1); }

void hasher_add(struct hasher *hasher, const void *data, size_t len)
{
    if (!EVP_DigestUpdate(hasher->context, data, len))
        abort();
}

void hasher_end(struct hasher *hasher, uint8_t *digest)
{
    if (!EVP_DigestFinal_ex(hasher->context, digest, NULL) || !EVP_DigestInit_ex2(hasher->context, hasher->md, NULL))
        abort();
}

void hasher_free(struct hasher *hasher)
{
    if (!hasher)
        return;
    EVP_MD_CTX_free(hasher->context);
    free(hasher);
}

void sha256(struct str data, uint8_t digest[SHA256_SIZE])
{
    pthread_once(&fetched, fetch);
    if (!EVP_Digest(data.data, data.len, digest, NULL, md_sha256, NULL))
        abort();
}

void hmac_sha256(struct str key, struct str data, uint8_t digest[SHA256_SIZE])
{
    pthread_once(&fetched, fetch);
    if (!HMAC(md_sha256, key.data, (int)key.len, (const unsigned char *)data.data, data.len, digest, NULL))
        abort();
}

void random_bytes(void *out, size_t len)
{
    for (char *at = out; len > 0;) {
        ssize_t got = getrandom(at, len, 0);
        if (got <= 0)
            abort();
        at += got;
        len -= (size_t)got;
    }
}

bool equal_secret(const void *a, const void *b, size_t len) { return CRYPTO_memcmp(a, b, len) == 0; }
