/* SPDX-License-Identifier: LGPL-3.0-or-later */
#include "cohort/channel.h"

#include "base/buf.h"
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <stdlib.h>

/* Each key seals one message, so its nonce may always be the same. */
static const uint8_t nonce[12];

static enum status channel_key(const uint8_t channel[HPKE_KEY_SIZE], const uint8_t *peer,
                               const struct cohort_member *from, const struct cohort_member *to, const uint8_t *context,
                               uint8_t key[32], struct error *err)
{
    auto_buf struct buf info = {0};
    uint8_t shared[HPKE_KEY_SIZE];
    TRY(x25519(channel, peer, shared, err));
    buf_str(&info, STR("cairn one-house channel"));
    buf_add(&info, from->channel, HPKE_KEY_SIZE);
    buf_add(&info, to->channel, HPKE_KEY_SIZE);
    hkdf_sha256((struct str){(char *)shared, sizeof shared}, (struct str){(const char *)context, COHORT_CONTEXT_SIZE},
                buf_view(&info), key, 32);
    OPENSSL_cleanse(shared, sizeof shared);
    return OK;
}

static EVP_CIPHER_CTX *cipher_with(const uint8_t key[32], bool seals)
{
    EVP_CIPHER_CTX *cipher = EVP_CIPHER_CTX_new();
    if (!cipher || EVP_CipherInit_ex(cipher, EVP_aes_256_gcm(), NULL, key, nonce, seals) != 1)
        abort();
    return cipher;
}

enum status channel_seal(const uint8_t channel[HPKE_KEY_SIZE], const struct cohort_member *self,
                         const struct cohort_member *peer, const uint8_t context[COHORT_CONTEXT_SIZE],
                         const uint8_t plain[COHORT_SHARES_SIZE], uint8_t sealed[COHORT_SEALED_SIZE], struct error *err)
{
    uint8_t key[32];
    int len;
    TRY(channel_key(channel, peer->channel, self, peer, context, key, err));
    EVP_CIPHER_CTX *cipher = cipher_with(key, true);
    if (EVP_EncryptUpdate(cipher, sealed, &len, plain, COHORT_SHARES_SIZE) != 1 ||
        EVP_EncryptFinal_ex(cipher, sealed + len, &len) != 1 ||
        EVP_CIPHER_CTX_ctrl(cipher, EVP_CTRL_GCM_GET_TAG, HPKE_TAG_SIZE, sealed + COHORT_SHARES_SIZE) != 1)
        abort();
    EVP_CIPHER_CTX_free(cipher);
    OPENSSL_cleanse(key, sizeof key);
    return OK;
}

enum status channel_open(const uint8_t channel[HPKE_KEY_SIZE], const struct cohort_member *self,
                         const struct cohort_member *peer, const uint8_t context[COHORT_CONTEXT_SIZE],
                         const uint8_t sealed[COHORT_SEALED_SIZE], uint8_t plain[COHORT_SHARES_SIZE], struct error *err)
{
    uint8_t key[32];
    int len;
    TRY(channel_key(channel, peer->channel, peer, self, context, key, err));
    EVP_CIPHER_CTX *cipher = cipher_with(key, false);
    bool opened =
        EVP_DecryptUpdate(cipher, plain, &len, sealed, COHORT_SHARES_SIZE) == 1 &&
        EVP_CIPHER_CTX_ctrl(cipher, EVP_CTRL_GCM_SET_TAG, HPKE_TAG_SIZE, (void *)(sealed + COHORT_SHARES_SIZE)) == 1 &&
        EVP_DecryptFinal_ex(cipher, plain + len, &len) == 1;
    EVP_CIPHER_CTX_free(cipher);
    OPENSSL_cleanse(key, sizeof key);
    if (opened)
        return OK;
    OPENSSL_cleanse(plain, COHORT_SHARES_SIZE);
    return fail(err, FORBIDDEN, "SealBroken",
                "What a neighbour is said to have sealed for this member was not sealed by it.");
}
