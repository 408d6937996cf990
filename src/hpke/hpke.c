/* SPDX-License-Identifier: LGPL-3.0-or-later */
#include "hpke/hpke.h"

#include "base/buf.h"
#include "base/hash.h"
#include <assert.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <pthread.h>
#include <stdlib.h>

/* Section 5.1: kem_id 0x0020 (X25519), kdf_id 0x0001 (HKDF-SHA256), aead_id 0x0001 (AES-128-GCM). */
#define KEM_SUITE STR("KEM\x00\x20")
#define HPKE_SUITE STR("HPKE\x00\x20\x00\x01\x00\x01")

static void must(bool done)
{
    if (!done)
        abort(); /* OpenSSL is out of memory or was built without the algorithm */
}

static pthread_once_t once = PTHREAD_ONCE_INIT;
static EVP_CIPHER *aes128_gcm;

static void fetch(void)
{
    aes128_gcm = EVP_CIPHER_fetch(NULL, "AES-128-GCM", NULL);
    must(aes128_gcm != NULL);
}

static struct str bytes(const uint8_t *data, size_t len)
{
    return (struct str){(const char *)data, len};
}

enum status x25519(const uint8_t private_key[HPKE_KEY_SIZE], const uint8_t public_key[HPKE_KEY_SIZE],
                   uint8_t shared[HPKE_KEY_SIZE], struct error *err)
{
    EVP_PKEY *own = EVP_PKEY_new_raw_private_key(EVP_PKEY_X25519, NULL, private_key, HPKE_KEY_SIZE);
    EVP_PKEY *peer = EVP_PKEY_new_raw_public_key(EVP_PKEY_X25519, NULL, public_key, HPKE_KEY_SIZE);
    must(own && peer);
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new(own, NULL);
    size_t len = HPKE_KEY_SIZE;
    must(context && EVP_PKEY_derive_init(context) == 1);
    bool good = EVP_PKEY_derive_set_peer(context, peer) == 1 && EVP_PKEY_derive(context, shared, &len) == 1;
    EVP_PKEY_CTX_free(context);
    EVP_PKEY_free(own);
    EVP_PKEY_free(peer);
    return good ? OK : fail(err, INVALID, NULL, "This X25519 public key is a point of small order, which nobody owns.");
}

void hpke_key_public(const uint8_t private_key[HPKE_KEY_SIZE], uint8_t public_key[HPKE_KEY_SIZE])
{
    EVP_PKEY *own = EVP_PKEY_new_raw_private_key(EVP_PKEY_X25519, NULL, private_key, HPKE_KEY_SIZE);
    size_t len = HPKE_KEY_SIZE;
    must(own && EVP_PKEY_get_raw_public_key(own, public_key, &len) == 1);
    EVP_PKEY_free(own);
}

void hpke_key_make(uint8_t private_key[HPKE_KEY_SIZE], uint8_t public_key[HPKE_KEY_SIZE])
{
    random_bytes(private_key, HPKE_KEY_SIZE);
    hpke_key_public(private_key, public_key);
}

/* RFC 5869 section 2.3. The info is what the parts say, one after the other. */
static void hkdf_expand(const uint8_t prk[32], const struct str *parts, size_t count, uint8_t *out, size_t len)
{
    auto_buf struct buf block = {0};
    uint8_t digest[SHA256_SIZE], number = 0;
    size_t room = sizeof digest + 1;
    assert(len <= 255 * sizeof digest);
    for (size_t i = 0; i < count; i++)
        room += parts[i].len;
    buf_reserve(&block, room); /* once, so that no copy of a secret is left behind */
    while (len) {
        size_t part = len < sizeof digest ? len : sizeof digest;
        block.len = 0;
        if (number)
            buf_add(&block, digest, sizeof digest);
        for (size_t i = 0; i < count; i++)
            buf_str(&block, parts[i]);
        buf_byte(&block, (char)++number);
        hmac_sha256(bytes(prk, 32), buf_view(&block), digest);
        memcpy(out, digest, part);
        out += part;
        len -= part;
    }
    OPENSSL_cleanse(block.data, room);
    OPENSSL_cleanse(digest, sizeof digest);
}

void hkdf_sha256(struct str secret, struct str salt, struct str info, uint8_t *out, size_t len)
{
    uint8_t prk[SHA256_SIZE];
    hmac_sha256(salt, secret, prk);
    hkdf_expand(prk, &info, 1, out, len);
    OPENSSL_cleanse(prk, sizeof prk);
}

/* Section 4: LabeledExtract and LabeledExpand. */
static void labeled_extract(struct str suite, struct str salt, const char *label, struct str secret, uint8_t prk[32])
{
    auto_buf struct buf text = {0};
    buf_reserve(&text, 7 + suite.len + strlen(label) + secret.len); /* once, as above */
    buf_str(&text, STR("HPKE-v1"));
    buf_str(&text, suite);
    buf_str(&text, str_of(label));
    buf_str(&text, secret);
    hmac_sha256(salt, buf_view(&text), prk);
    OPENSSL_cleanse(text.data, text.len);
}

static void labeled_expand(struct str suite, const uint8_t prk[32], const char *label, struct str info, uint8_t *out,
                           size_t len)
{
    const char length[2] = {(char)(len >> 8), (char)len};
    const struct str parts[] = {{length, 2}, STR("HPKE-v1"), suite, str_of(label), info};
    hkdf_expand(prk, parts, sizeof parts / sizeof *parts, out, len);
}

/* Section 4.1: ExtractAndExpand over the shared point, bound to both public keys. */
static void kem_secret(const uint8_t point[32], const uint8_t enc[32], const uint8_t recipient[32], uint8_t secret[32])
{
    uint8_t prk[32], both[64];
    memcpy(both, enc, 32);
    memcpy(both + 32, recipient, 32);
    labeled_extract(KEM_SUITE, STR(""), "eae_prk", bytes(point, 32), prk);
    labeled_expand(KEM_SUITE, prk, "shared_secret", bytes(both, sizeof both), secret, 32);
    OPENSSL_cleanse(prk, sizeof prk);
}

/* Section 5.1: KeySchedule in base mode: no preshared key. */
static void key_schedule(struct hpke *hpke, const uint8_t shared[32], struct str info)
{
    uint8_t context[1 + 32 + 32] = {0}, secret[32];
    labeled_extract(HPKE_SUITE, STR(""), "psk_id_hash", STR(""), context + 1);
    labeled_extract(HPKE_SUITE, STR(""), "info_hash", info, context + 33);
    labeled_extract(HPKE_SUITE, bytes(shared, 32), "secret", STR(""), secret);
    labeled_expand(HPKE_SUITE, secret, "key", bytes(context, sizeof context), hpke->key, sizeof hpke->key);
    labeled_expand(HPKE_SUITE, secret, "base_nonce", bytes(context, sizeof context), hpke->nonce, sizeof hpke->nonce);
    labeled_expand(HPKE_SUITE, secret, "exp", bytes(context, sizeof context), hpke->exporter, sizeof hpke->exporter);
    OPENSSL_cleanse(secret, sizeof secret);
}

/* own is the ephemeral or the recipient's private key, peer the other's public one. */
static enum status setup(struct hpke *hpke, const uint8_t own[32], const uint8_t peer[32], const uint8_t enc[32],
                         const uint8_t recipient[32], struct str info, struct error *err)
{
    uint8_t point[32], shared[32];
    *hpke = (struct hpke){0};
    TRY(x25519(own, peer, point, err));
    kem_secret(point, enc, recipient, shared);
    key_schedule(hpke, shared, info);
    OPENSSL_cleanse(point, sizeof point);
    OPENSSL_cleanse(shared, sizeof shared);
    pthread_once(&once, fetch);
    hpke->cipher = EVP_CIPHER_CTX_new();
    must(hpke->cipher != NULL);
    return OK;
}

enum status hpke_sender_with(struct hpke *hpke, const uint8_t recipient[HPKE_KEY_SIZE], struct str info,
                             const uint8_t ephemeral[HPKE_KEY_SIZE], uint8_t enc[HPKE_KEY_SIZE], struct error *err)
{
    hpke_key_public(ephemeral, enc);
    return setup(hpke, ephemeral, recipient, enc, recipient, info, err);
}

enum status hpke_sender(struct hpke *hpke, const uint8_t recipient[HPKE_KEY_SIZE], struct str info,
                        uint8_t enc[HPKE_KEY_SIZE], struct error *err)
{
    uint8_t ephemeral[HPKE_KEY_SIZE];
    random_bytes(ephemeral, sizeof ephemeral);
    enum status status = hpke_sender_with(hpke, recipient, info, ephemeral, enc, err);
    OPENSSL_cleanse(ephemeral, sizeof ephemeral);
    return status;
}

enum status hpke_recipient(struct hpke *hpke, const uint8_t private_key[HPKE_KEY_SIZE],
                           const uint8_t enc[HPKE_KEY_SIZE], struct str info, struct error *err)
{
    uint8_t recipient[HPKE_KEY_SIZE];
    hpke_key_public(private_key, recipient);
    return setup(hpke, private_key, enc, enc, recipient, info, err);
}

/* Section 5.2: ComputeNonce. */
static void nonce_of(const struct hpke *hpke, uint64_t number, uint8_t nonce[12])
{
    memcpy(nonce, hpke->nonce, 12);
    for (int i = 0; i < 8; i++)
        nonce[11 - i] ^= (uint8_t)(number >> (8 * i));
}

void hpke_seal(struct hpke *hpke, uint64_t number, struct str aad, struct str plain, uint8_t *out)
{
    uint8_t nonce[12];
    int got = 0;
    EVP_CIPHER_CTX *c = hpke->cipher;
    assert(c && plain.len <= INT32_MAX && aad.len <= INT32_MAX);
    nonce_of(hpke, number, nonce);
    must(EVP_EncryptInit_ex2(c, aes128_gcm, hpke->key, nonce, NULL) == 1);
    must(EVP_EncryptUpdate(c, NULL, &got, (const uint8_t *)aad.data, (int)aad.len) == 1);
    if (plain.len)
        must(EVP_EncryptUpdate(c, out, &got, (const uint8_t *)plain.data, (int)plain.len) == 1);
    must(EVP_EncryptFinal_ex(c, out + plain.len, &got) == 1);
    must(EVP_CIPHER_CTX_ctrl(c, EVP_CTRL_AEAD_GET_TAG, HPKE_TAG_SIZE, out + plain.len) == 1);
}

enum status hpke_open(struct hpke *hpke, uint64_t number, struct str aad, struct str sealed, uint8_t *out,
                      struct error *err)
{
    uint8_t nonce[12], tag[HPKE_TAG_SIZE];
    int got = 0;
    EVP_CIPHER_CTX *c = hpke->cipher;
    assert(c && aad.len <= INT32_MAX);
    if (sealed.len < HPKE_TAG_SIZE || sealed.len > INT32_MAX)
        return fail(err, FORBIDDEN, "SealBroken", "A sealed text is cut short.");
    size_t len = sealed.len - HPKE_TAG_SIZE;
    nonce_of(hpke, number, nonce);
    memcpy(tag, sealed.data + len, sizeof tag);
    must(EVP_DecryptInit_ex2(c, aes128_gcm, hpke->key, nonce, NULL) == 1);
    must(EVP_DecryptUpdate(c, NULL, &got, (const uint8_t *)aad.data, (int)aad.len) == 1);
    if (len)
        must(EVP_DecryptUpdate(c, out, &got, (const uint8_t *)sealed.data, (int)len) == 1);
    must(EVP_CIPHER_CTX_ctrl(c, EVP_CTRL_AEAD_SET_TAG, HPKE_TAG_SIZE, tag) == 1);
    if (EVP_DecryptFinal_ex(c, out + len, &got) == 1)
        return OK;
    if (len)
        OPENSSL_cleanse(out, len);
    return fail(err, FORBIDDEN, "SealBroken",
                "A sealed text does not open: it was changed, or sealed to another key, round or report.");
}

void hpke_export(const struct hpke *hpke, struct str context, uint8_t *out, size_t len)
{
    labeled_expand(HPKE_SUITE, hpke->exporter, "sec", context, out, len);
}

void hpke_end(struct hpke *hpke)
{
    EVP_CIPHER_CTX_free(hpke->cipher);
    OPENSSL_cleanse(hpke, sizeof *hpke);
}
