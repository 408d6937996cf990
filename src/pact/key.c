/* SPDX-License-Identifier: LGPL-3.0-or-later */
#include "pact/key.h"
#include "base/file.h"
#include "base/json.h"
#include "base/text.h"
#include "hpke/hpke.h"
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#define FILE_LIMIT 8192
#define DAY_US (INT64_C(86400) * 1000000)
#define SEAL_LIFE_US (365 * DAY_US)
#define SEAL_RENEW_US (60 * DAY_US) /* before its end, another takes its place */
#define SEAL_KEEP_US (90 * DAY_US)  /* after its end */

static void *or_abort(void *made)
{
    if (!made)
        abort();
    return made;
}

void pact_key_make(struct pact_key *key, const uint8_t seed[PACT_KEY_SIZE])
{
    size_t len = PACT_KEY_SIZE;
    EVP_PKEY *made = or_abort(EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, NULL, seed, PACT_KEY_SIZE));
    memcpy(key->seed, seed, PACT_KEY_SIZE);
    if (EVP_PKEY_get_raw_public_key(made, key->public_key, &len) != 1)
        abort();
    EVP_PKEY_free(made);
}

void pact_sign(const struct pact_key *key, struct str message, uint8_t out[PACT_SIGNATURE_SIZE])
{
    size_t len = PACT_SIGNATURE_SIZE;
    EVP_PKEY *made = or_abort(EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, NULL, key->seed, PACT_KEY_SIZE));
    EVP_MD_CTX *context = or_abort(EVP_MD_CTX_new());
    if (EVP_DigestSignInit(context, NULL, NULL, NULL, made) != 1 ||
        EVP_DigestSign(context, out, &len, (const uint8_t *)message.data, message.len) != 1)
        abort();
    EVP_MD_CTX_free(context);
    EVP_PKEY_free(made);
}

bool pact_signed(const uint8_t key[PACT_KEY_SIZE], struct str message, const uint8_t signature[PACT_SIGNATURE_SIZE])
{
    EVP_PKEY *made = EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, NULL, key, PACT_KEY_SIZE);
    EVP_MD_CTX *context = or_abort(EVP_MD_CTX_new());
    bool holds =
        made && EVP_DigestVerifyInit(context, NULL, NULL, NULL, made) == 1 &&
        EVP_DigestVerify(context, signature, PACT_SIGNATURE_SIZE, (const uint8_t *)message.data, message.len) == 1;
    EVP_MD_CTX_free(context);
    EVP_PKEY_free(made);
    return holds;
}

void key_id(const uint8_t key[PACT_KEY_SIZE], char out[KEY_ID_SIZE])
{
    uint8_t digest[SHA256_SIZE];
    sha256((struct str){(const char *)key, PACT_KEY_SIZE}, digest);
    for (int i = 0; i < 4; i++)
        snprintf(out + 5 * i, 6, i < 3 ? "%02x%02x-" : "%02x%02x", digest[2 * i], digest[2 * i + 1]);
}

/* The file. */

static bool read_identity(struct str text, struct identity *out)
{
    auto_json json_t *file = NULL;
    uint8_t seed[PACT_KEY_SIZE];
    if (json_read(text, FILE_LIMIT, &file, NULL) != OK || !hex_decode(json_get_str(file, "sign"), seed, sizeof seed))
        return false;
    pact_key_make(&out->sign, seed);
    const json_t *seals = json_object_get(file, "seal");
    for (out->count = 0; out->count < json_array_size(seals); out->count++) {
        const json_t *from = json_array_get(seals, out->count);
        struct identity_seal *seal = &out->seals[out->count];
        if (out->count == IDENTITY_SEALS_MOST || !hex_decode(json_get_str(from, "key"), seal->private_key, 32))
            return false;
        seal->until_us = json_get_int(from, "until", 0);
        hpke_key_public(seal->private_key, seal->public_key);
    }
    return true;
}

static enum status write_identity(const char *path, const struct identity *identity, struct error *err)
{
    auto_buf struct buf text = {0};
    buf_reserve(&text, FILE_LIMIT); /* so that no copy of it is left on the way */
    struct json_writer w = jw_to(&text);
    jw_object(&w);
    jw_key_hex(&w, "sign", identity->sign.seed, PACT_KEY_SIZE);
    jw_key(&w, "seal");
    jw_array(&w);
    for (size_t i = 0; i < identity->count; i++) {
        jw_object(&w);
        jw_key_hex(&w, "key", identity->seals[i].private_key, 32);
        jw_key_int(&w, "until", identity->seals[i].until_us);
        jw_end(&w);
    }
    jw_end(&w);
    jw_end(&w);
    enum status status = file_write_durable(path, buf_view(&text), 0600, err);
    OPENSSL_cleanse(text.data, text.capacity);
    return status;
}

static bool is_due(const struct identity *identity, int64_t now_us)
{
    return identity->count == 0 || identity->seals[0].until_us <= now_us + SEAL_RENEW_US;
}

static void renew(struct identity *identity, int64_t now_us)
{
    size_t kept = 0;
    while (kept < identity->count && kept < IDENTITY_SEALS_MOST - 1 &&
           identity->seals[kept].until_us > now_us - SEAL_KEEP_US)
        kept++;
    memmove(identity->seals + 1, identity->seals, kept * sizeof *identity->seals);
    hpke_key_make(identity->seals[0].private_key, identity->seals[0].public_key);
    identity->seals[0].until_us = now_us + SEAL_LIFE_US;
    identity->count = kept + 1;
}

enum status identity_open(const char *path, int64_t now_us, struct identity *out, struct error *err)
{
    auto_buf struct buf text = {0};
    uint8_t seed[PACT_KEY_SIZE];
    *out = (struct identity){0};
    enum status status = file_read_all(path, FILE_LIMIT, &text, err);
    if (status == OK && !read_identity(buf_view(&text), out))
        return fail(err, CORRUPT, NULL, "%s does not hold the keys of a house: restore it, or remove it to make others",
                    path);
    if (text.data)
        OPENSSL_cleanse(text.data, text.capacity);
    if (status == NOT_FOUND) {
        random_bytes(seed, sizeof seed);
        pact_key_make(&out->sign, seed);
        OPENSSL_cleanse(seed, sizeof seed);
    } else if (status != OK) {
        return status;
    }
    if (!is_due(out, now_us))
        return OK;
    renew(out, now_us);
    return write_identity(path, out, err);
}

static enum status renew_into(const char *path, int64_t now_us, struct identity *before, struct identity *out,
                              struct error *err)
{
    if (!before)
        return identity_open(path, now_us, out, err);
    *out = *before;
    out->before = before;
    renew(out, now_us);
    return write_identity(path, out, err);
}

enum status identity_renew(const char *path, int64_t now_us, struct identity *_Atomic *keys, struct error *err)
{
    static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
    enum status status = OK;
    pthread_mutex_lock(&lock);
    if (!*keys || is_due(*keys, now_us)) {
        struct identity *made = or_abort(calloc(1, sizeof *made));
        status = renew_into(path, now_us, *keys, made, err);
        if (status == OK) {
            *keys = made;
        } else {
            identity_clear(made);
            free(made);
        }
    }
    pthread_mutex_unlock(&lock);
    return status;
}

void identity_end(struct identity *_Atomic *keys)
{
    while (*keys) {
        struct identity *last = *keys;
        *keys = last->before;
        identity_clear(last);
        free(last);
    }
}

const struct identity_seal *identity_seal(const struct identity *identity, const uint8_t public_key[32])
{
    for (size_t i = 0; i < identity->count; i++)
        if (memcmp(identity->seals[i].public_key, public_key, 32) == 0)
            return &identity->seals[i];
    return NULL;
}

void identity_clear(struct identity *identity)
{
    OPENSSL_cleanse(identity, sizeof *identity);
}
