/* SPDX-License-Identifier: LGPL-3.0-or-later */
#include "oms/key.h"

#include "base/text.h"
#include "oms/internal.h"

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <stdlib.h>

static const struct curve {
    const char *name;
    const char *hash;
} curves[] = {{"prime256v1", "SHA256"}, {"secp384r1", "SHA384"}, {"secp521r1", "SHA512"}};

/* Without this OpenSSL would ask for a passphrase on the terminal. */
static int no_passphrase(char *out, int size, int writing, void *context)
{
    (void)out, (void)size, (void)writing, (void)context;
    return -1;
}

void oms_key_free(EVP_PKEY **key)
{
    EVP_PKEY_free(*key);
    *key = NULL;
}

/* NULL for what is not on one of our curves. A curve written out as numbers is refused even when it is one of them. */
static const struct curve *curve_of(const EVP_PKEY *key)
{
    char name[64];
    int explicit_numbers = 0;
    if (!EVP_PKEY_is_a(key, "EC") || EVP_PKEY_get_group_name(key, name, sizeof name, NULL) != 1)
        return NULL;
    EVP_PKEY_get_int_param(key, OSSL_PKEY_PARAM_EC_DECODED_FROM_EXPLICIT_PARAMS, &explicit_numbers);
    for (size_t i = 0; i < sizeof curves / sizeof *curves && !explicit_numbers; i++)
        if (strcmp(curves[i].name, name) == 0)
            return &curves[i];
    return NULL;
}

bool oms_key_is_ecdsa(const EVP_PKEY *key)
{
    return curve_of(key) != NULL;
}

const EVP_MD *key_hash(const EVP_PKEY *key)
{
    const struct curve *curve = curve_of(key);
    return curve ? EVP_get_digestbyname(curve->hash) : NULL;
}

enum status oms_key_check(const EVP_PKEY *key, struct error *err)
{
    if (curve_of(key) || EVP_PKEY_is_a(key, "ED25519"))
        return OK;
    return fail(
        err, UNSUPPORTED, NULL,
        "This key cannot be used here: signatures are made with ECDSA on the named curves P-256, P-384 or P-521, "
        "or with Ed25519.");
}

static enum status key_read(struct str pem, bool is_private, EVP_PKEY **out, struct error *err)
{
    *out = NULL;
    if (pem.len > OMS_PEM_MOST)
        return fail(err, TOO_LARGE, NULL, "A key in PEM may have %d bytes; this one has %zu.", OMS_PEM_MOST, pem.len);
    BIO *bio = BIO_new_mem_buf(pem.len ? pem.data : "", (int)pem.len);
    auto_key EVP_PKEY *key = NULL;
    if (bio)
        key = is_private ? PEM_read_bio_PrivateKey(bio, NULL, no_passphrase, NULL)
                         : PEM_read_bio_PUBKEY(bio, NULL, no_passphrase, NULL);
    BIO_free(bio);
    ERR_clear_error();
    if (!key && is_private)
        return fail(err, INVALID, NULL, "This is not a private key in PEM without a passphrase.");
    if (!key)
        return fail(err, INVALID, NULL,
                    "This is not a public key in PEM: it should begin with \"-----BEGIN PUBLIC KEY-----\".");
    TRY(oms_key_check(key, err));
    *out = key;
    key = NULL;
    return OK;
}

enum status oms_key_read_public(struct str pem, EVP_PKEY **out, struct error *err)
{
    return key_read(pem, false, out, err);
}

enum status oms_key_read_private(struct str pem, EVP_PKEY **out, struct error *err)
{
    return key_read(pem, true, out, err);
}

/* OpenSSL fails to write a key that it holds only when it is out of memory. */
static void key_write(const EVP_PKEY *key, bool is_private, struct buf *out)
{
    char *text;
    BIO *bio = BIO_new(BIO_s_mem());
    if (!bio || (is_private ? PEM_write_bio_PKCS8PrivateKey(bio, key, NULL, NULL, 0, NULL, NULL)
                            : PEM_write_bio_PUBKEY(bio, key)) != 1)
        abort();
    long len = BIO_get_mem_data(bio, &text);
    buf_add(out, text, (size_t)len);
    OPENSSL_cleanse(text, (size_t)len);
    BIO_free(bio);
}

void oms_key_write_public(const EVP_PKEY *key, struct buf *out)
{
    key_write(key, false, out);
}

void oms_key_write_private(const EVP_PKEY *key, struct buf *out)
{
    key_write(key, true, out);
}

void oms_key_hint(const EVP_PKEY *key, char out[OMS_HINT_SIZE])
{
    auto_buf struct buf pem = {0};
    auto_arena struct arena arena = {0};
    uint8_t digest[SHA256_SIZE];
    oms_key_write_public(key, &pem);
    sha256(buf_view(&pem), digest);
    memcpy(out, hex_encode(&arena, digest, sizeof digest).data, OMS_HINT_SIZE - 1);
    out[OMS_HINT_SIZE - 1] = '\0';
}
