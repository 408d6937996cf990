/* SPDX-License-Identifier: LGPL-3.0-or-later */
#include "oms/dsse.h"

#include "base/text.h"
#include "oms/internal.h"

#include <assert.h>
#include <openssl/err.h>

#define VALUES_MOST 1024

void dsse_pae(struct str type, struct str payload, struct buf *out)
{
    buf_printf(out, "DSSEv1 %zu ", type.len);
    buf_str(out, type);
    buf_printf(out, " %zu ", payload.len);
    buf_str(out, payload);
}

static enum status signature_read(struct arena *arena, const json_t *value, struct dsse_signature *out,
                                  struct error *err)
{
    static const char *const names[] = {"sig", "keyid", NULL};
    TRY(members_only(value, "A signature of the envelope", names, err));
    TRY(member_base64(arena, value, "sig", "The \"sig\" of the envelope's signature", &out->sig, err));
    if (out->sig.len > DSSE_SIGNATURE_MOST)
        return fail(err, TOO_LARGE, NULL, "A signature of the envelope has %zu bytes; %d are allowed.", out->sig.len,
                    DSSE_SIGNATURE_MOST);
    const json_t *keyid = json_object_get(value, "keyid");
    if (keyid && !json_is_null(keyid) && !json_is_string(keyid))
        return fail(err, INVALID, NULL, "The \"keyid\" of the envelope's signature is not a string.");
    out->keyid = json_get_str(value, "keyid");
    if (str_given(out->keyid))
        out->keyid = arena_copy(arena, out->keyid);
    return OK;
}

enum status dsse_read_json(struct arena *arena, const json_t *value, struct dsse_envelope *out, struct error *err)
{
    static const char *const names[] = {"payload", "payloadType", "signatures", NULL};
    *out = (struct dsse_envelope){0};
    TRY(members_only(value, "The envelope", names, err));
    struct str type = json_get_str(value, "payloadType");
    if (!str_given(type) || type.len == 0 || type.len > DSSE_TYPE_MOST)
        return fail(err, INVALID, NULL, "The envelope's \"payloadType\" should be a string of 1 to %d bytes.",
                    DSSE_TYPE_MOST);
    const json_t *signatures = json_object_get(value, "signatures");
    size_t count = json_array_size(signatures);
    if (!json_is_array(signatures) || count == 0 || count > DSSE_SIGNATURES_MOST)
        return fail(err, INVALID, NULL, "The envelope's \"signatures\" should be a list of 1 to %d.",
                    DSSE_SIGNATURES_MOST);
    TRY(member_base64(arena, value, "payload", "The envelope's \"payload\"", &out->payload, err));
    out->type = arena_copy(arena, type);
    out->signatures = arena_array(arena, count, sizeof *out->signatures);
    for (; out->count < count; out->count++)
        TRY(signature_read(arena, json_array_get(signatures, out->count), &out->signatures[out->count], err));
    return OK;
}

enum status dsse_read(struct arena *arena, struct str text, struct dsse_envelope *out, struct error *err)
{
    auto_json json_t *value = NULL;
    if (text.len > DSSE_MOST)
        return fail(err, TOO_LARGE, NULL, "The envelope has %zu bytes; %d are allowed.", text.len, DSSE_MOST);
    TRY(strict_json(text, "The envelope", VALUES_MOST, &value, err));
    return dsse_read_json(arena, value, out, err);
}

void dsse_write(struct arena *arena, const struct dsse_envelope *envelope, struct json_writer *json)
{
    jw_object(json);
    jw_key_str(json, "payload", base64_encode(arena, envelope->payload));
    jw_key_str(json, "payloadType", envelope->type);
    jw_key(json, "signatures");
    jw_array(json);
    for (size_t i = 0; i < envelope->count; i++) {
        const struct dsse_signature *signature = &envelope->signatures[i];
        jw_object(json);
        jw_key_str(json, "sig", base64_encode(arena, signature->sig));
        jw_key_str(json, "keyid", str_given(signature->keyid) ? signature->keyid : STR(""));
        jw_end(json);
    }
    jw_end(json);
    jw_end(json);
}

enum status dsse_sign(struct arena *arena, struct str type, struct str payload, EVP_PKEY *key, struct str *sig,
                      struct error *err)
{
    assert(oms_key_check(key, NULL) == OK);
    auto_buf struct buf pae = {0};
    dsse_pae(type, payload, &pae);
    unsigned char *out = arena_alloc(arena, DSSE_SIGNATURE_MOST);
    size_t len = DSSE_SIGNATURE_MOST;
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    bool done = context && EVP_DigestSignInit(context, NULL, key_hash(key), NULL, key) == 1 &&
                EVP_DigestSign(context, out, &len, (const unsigned char *)pae.data, pae.len) == 1;
    EVP_MD_CTX_free(context);
    ERR_clear_error();
    if (!done)
        return fail(err, INTERNAL, NULL, "OpenSSL could not sign; is this a whole private key?");
    *sig = (struct str){(const char *)out, len};
    return OK;
}

static bool holds(struct str pae, struct str sig, EVP_PKEY *key)
{
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    bool good = context && EVP_DigestVerifyInit(context, NULL, key_hash(key), NULL, key) == 1 &&
                EVP_DigestVerify(context, (const unsigned char *)sig.data, sig.len, (const unsigned char *)pae.data,
                                 pae.len) == 1;
    EVP_MD_CTX_free(context);
    ERR_clear_error();
    return good;
}

enum status dsse_verify(const struct dsse_envelope *envelope, EVP_PKEY *key, struct error *err)
{
    assert(oms_key_check(key, NULL) == OK);
    auto_buf struct buf pae = {0};
    dsse_pae(envelope->type, envelope->payload, &pae);
    for (size_t i = 0; i < envelope->count; i++)
        if (holds(buf_view(&pae), envelope->signatures[i].sig, key))
            return OK;
    return fail(err, UNPROCESSABLE, NULL,
                "The signature does not fit: what was signed has been changed, or another key has signed it.");
}
