/* SPDX-License-Identifier: LGPL-3.0-or-later */
/* The keys of notes: their texts, and Ed25519 by OpenSSL. */
#include "base/hash.h"
#include "base/text.h"
#include "tlog/note.h"
#include "tlog/text.h"

#include <assert.h>
#include <endian.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <stdlib.h>

#define PRIVATE STR("PRIVATE+KEY+")
#define ML_DSA_PUBLIC_SIZE 1312
#define KEY_TEXT_MOST 4096

/* OpenSSL refuses what it is asked here only when it is out of memory or was built without Ed25519. */
static void must(bool done)
{
    if (!done)
        abort();
}

/* The id of a key: the beginning of a hash over its name, a newline, its kind and its bytes. */
static uint32_t key_id(struct str name, enum note_kind kind, struct str key)
{
    auto_buf struct buf text = {0};
    uint8_t digest[SHA256_SIZE];
    uint32_t id;
    buf_str(&text, name);
    buf_byte(&text, '\n');
    buf_byte(&text, (char)kind);
    buf_str(&text, key);
    sha256(buf_view(&text), digest);
    memcpy(&id, digest, sizeof id);
    return be32toh(id);
}

/* The parts of name+id+base64(kind, key). */
struct key_text {
    struct str name, key;
    uint32_t id;
    int kind;
};

static bool key_text_parse(struct arena *arena, struct str text, struct key_text *out)
{
    struct str id, blob;
    uint32_t number;
    /* The id decodes from digits of either case, and there is only one form: the lower. */
    if (text.len > KEY_TEXT_MOST || !str_cut(&text, '+', &out->name) || !note_name_valid(out->name) ||
        !str_cut(&text, '+', &id) || !hex_decode(id, (uint8_t *)&number, sizeof number) ||
        !str_eq(hex_encode(arena, &number, sizeof number), id) || !str_given(text) ||
        !base64_decode(arena, text, &blob) || blob.len < 2)
        return false;
    out->id = be32toh(number);
    out->name = arena_copy(arena, out->name);
    out->kind = (unsigned char)blob.data[0];
    out->key = str_from(blob, 1);
    return true;
}

static void key_text_write(struct buf *out, const struct note_verifier *verifier, const uint8_t *key, size_t size)
{
    auto_buf struct buf blob = {0};
    buf_byte(&blob, (char)verifier->kind);
    buf_add(&blob, key, size);
    buf_str(out, verifier->name);
    buf_printf(out, "+%08x+", verifier->id);
    tlog_base64(out, blob.data, blob.len);
    OPENSSL_cleanse(blob.data, blob.len);
}

enum status note_verifier_parse(struct arena *arena, struct str text, struct note_verifier *out, struct error *err)
{
    struct key_text parts;
    if (!key_text_parse(arena, text, &parts))
        return fail(err, INVALID, NULL,
                    "This is not a public key for signed notes: it should read "
                    "name+id+key, the id in 8 hex digits and the key in base64.");
    if (parts.kind != NOTE_ED25519 && parts.kind != NOTE_COSIGNATURE && parts.kind != NOTE_ML_DSA)
        return fail(err, UNSUPPORTED, NULL, "The key of %.*s is of kind %d; kinds 1 and 4 (Ed25519) can be used here.",
                    STR_ARG(parts.name), parts.kind);
    *out = (struct note_verifier){(enum note_kind)parts.kind, parts.name, parts.id, {0}};
    if (parts.key.len != (parts.kind == NOTE_ML_DSA ? ML_DSA_PUBLIC_SIZE : NOTE_PUBLIC_SIZE) ||
        parts.id != key_id(parts.name, out->kind, parts.key))
        return fail(err, INVALID, NULL, "The public key of %.*s was changed or cut: its id does not fit it.",
                    STR_ARG(parts.name));
    if (parts.kind != NOTE_ML_DSA)
        memcpy(out->public_key, parts.key.data, NOTE_PUBLIC_SIZE);
    return OK;
}

void note_verifier_write(struct buf *out, const struct note_verifier *verifier)
{
    assert(verifier->kind != NOTE_ML_DSA);
    key_text_write(out, verifier, verifier->public_key, NOTE_PUBLIC_SIZE);
}

enum status note_signer_make(struct arena *arena, enum note_kind kind, struct str name,
                             const uint8_t seed[NOTE_SEED_SIZE], struct note_signer *out, struct error *err)
{
    assert(kind == NOTE_ED25519 || kind == NOTE_COSIGNATURE);
    if (!note_name_valid(name))
        return fail(err, INVALID, NULL,
                    "The name of a key may be UTF-8 without white space and '+', of %d bytes at most.", NOTE_NAME_MOST);
    *out = (struct note_signer){{kind, arena_copy(arena, name), 0, {0}}, {0}};
    memcpy(out->seed, seed, NOTE_SEED_SIZE);
    EVP_PKEY *key = EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, NULL, seed, NOTE_SEED_SIZE);
    size_t size = NOTE_PUBLIC_SIZE;
    must(key && EVP_PKEY_get_raw_public_key(key, out->verifier.public_key, &size) == 1 && size == NOTE_PUBLIC_SIZE);
    EVP_PKEY_free(key);
    out->verifier.id = key_id(name, kind, (struct str){(const char *)out->verifier.public_key, NOTE_PUBLIC_SIZE});
    return OK;
}

enum status note_signer_parse(struct arena *arena, struct str text, struct note_signer *out, struct error *err)
{
    struct key_text parts;
    if (!str_starts(text, PRIVATE) || !key_text_parse(arena, str_from(text, PRIVATE.len), &parts) ||
        (parts.kind != NOTE_ED25519 && parts.kind != NOTE_COSIGNATURE) || parts.key.len != NOTE_SEED_SIZE)
        return fail(err, INVALID, NULL,
                    "This is not a private Ed25519 key for signed notes: it should read "
                    "PRIVATE+KEY+name+id+key, the id in 8 hex digits and the key in base64.");
    TRY(note_signer_make(arena, (enum note_kind)parts.kind, parts.name, (const uint8_t *)parts.key.data, out, err));
    OPENSSL_cleanse((void *)parts.key.data, parts.key.len);
    if (parts.id != out->verifier.id) {
        note_signer_clear(out);
        return fail(err, INVALID, NULL, "The private key of %.*s was changed or cut: its id does not fit it.",
                    STR_ARG(parts.name));
    }
    return OK;
}

void note_signer_write(struct buf *out, const struct note_signer *signer)
{
    buf_str(out, PRIVATE);
    key_text_write(out, &signer->verifier, signer->seed, NOTE_SEED_SIZE);
}

void note_signer_clear(struct note_signer *signer)
{
    OPENSSL_cleanse(signer->seed, sizeof signer->seed);
}

void note_signature_make(const struct note_signer *signer, struct str message, uint8_t out[NOTE_SIGNATURE_SIZE])
{
    EVP_PKEY *key = EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, NULL, signer->seed, NOTE_SEED_SIZE);
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    size_t size = NOTE_SIGNATURE_SIZE;
    must(key && context && EVP_DigestSignInit(context, NULL, NULL, NULL, key) == 1 &&
         EVP_DigestSign(context, out, &size, (const unsigned char *)message.data, message.len) == 1 &&
         size == NOTE_SIGNATURE_SIZE);
    EVP_MD_CTX_free(context);
    EVP_PKEY_free(key);
}

bool note_signature_holds(const struct note_verifier *verifier, struct str message, struct str signature)
{
    assert(verifier->kind == NOTE_ED25519 || verifier->kind == NOTE_COSIGNATURE);
    if (signature.len != NOTE_SIGNATURE_SIZE)
        return false;
    EVP_PKEY *key = EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, NULL, verifier->public_key, NOTE_PUBLIC_SIZE);
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    must(context);
    bool holds = key && EVP_DigestVerifyInit(context, NULL, NULL, NULL, key) == 1 &&
                 EVP_DigestVerify(context, (const unsigned char *)signature.data, signature.len,
                                  (const unsigned char *)message.data, message.len) == 1;
    EVP_MD_CTX_free(context);
    EVP_PKEY_free(key);
    return holds;
}
