/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "webauthn/webauthn.h"
#include "base/json.h"
#include "webauthn/cbor.h"

#define CLIENT_DATA_MOST 4096

/* Section 6.1. */
#define HEAD_SIZE 37
enum { FLAG_PRESENT = 0x01, FLAG_VERIFIED = 0x04, FLAG_CREDENTIAL = 0x40, FLAG_EXTENSIONS = 0x80 };

struct authenticator_data {
    struct str rp_id_hash;
    uint8_t flags;
    uint32_t sign_count;
    struct str credential_id, public_key; /* where FLAG_CREDENTIAL is set */
};

/* aaguid, length, id, key; moves *rest behind them. */
static bool read_credential(struct str *rest, struct authenticator_data *out)
{
    struct cose_key key;
    size_t used;
    if (rest->len < 18)
        return false;
    const uint8_t *length = (const uint8_t *)rest->data + 16;
    size_t id_len = (size_t)length[0] << 8 | length[1];
    *rest = str_from(*rest, 18);
    if (id_len == 0 || id_len > WEBAUTHN_CREDENTIAL_MOST || id_len > rest->len)
        return false;
    out->credential_id = str_slice(*rest, 0, id_len);
    *rest = str_from(*rest, id_len);
    if (cose_key_read(*rest, &key, &used, NULL) != OK || used > WEBAUTHN_KEY_MOST)
        return false;
    out->public_key = str_slice(*rest, 0, used);
    *rest = str_from(*rest, used);
    return true;
}

static bool read_extensions(struct str rest)
{
    struct cbor from = cbor_of(rest), map = from;
    struct cbor_item head;
    return cbor_next(&map, &head) && head.kind == CBOR_MAP && cbor_skip(&from) && cbor_ends(&from);
}

static bool read_authenticator_data(struct str data, struct authenticator_data *out)
{
    *out = (struct authenticator_data){0};
    if (data.len < HEAD_SIZE)
        return false;
    const uint8_t *bytes = (const uint8_t *)data.data;
    struct str rest = str_from(data, HEAD_SIZE);
    out->rp_id_hash = str_slice(data, 0, SHA256_SIZE);
    out->flags = bytes[SHA256_SIZE];
    out->sign_count =
        (uint32_t)bytes[33] << 24 | (uint32_t)bytes[34] << 16 | (uint32_t)bytes[35] << 8 | (uint32_t)bytes[36];
    if (out->flags & FLAG_CREDENTIAL && !read_credential(&rest, out))
        return false;
    return out->flags & FLAG_EXTENSIONS ? read_extensions(rest) : rest.len == 0;
}

/* The same bytes, in a time that tells nothing of them. */
static bool same(struct str a, struct str b)
{
    return str_given(a) && a.len == b.len && equal_secret(a.data, b.data, a.len);
}

/* Section 5.8.1: who asked, for what, from where. */
static bool is_expected(struct str client_data, const char *type, const struct webauthn_expected *expected)
{
    auto_json json_t *json = NULL;
    if (json_read(client_data, CLIENT_DATA_MOST, &json, NULL) != OK || !json_is_object(json))
        return false;
    const json_t *cross = json_object_get(json, "crossOrigin");
    return str_eq(json_get_str(json, "type"), str_of(type)) &&
           same(json_get_str(json, "challenge"), expected->challenge) &&
           str_eq(json_get_str(json, "origin"), expected->origin) && (!cross || json_is_false(cross)) &&
           !json_object_get(json, "topOrigin");
}

bool webauthn_challenge(struct str client_data, char *out, size_t size)
{
    auto_json json_t *json = NULL;
    if (json_read(client_data, CLIENT_DATA_MOST, &json, NULL) != OK || !json_is_object(json))
        return false;
    struct str challenge = json_get_str(json, "challenge");
    if (!str_given(challenge) || challenge.len >= size || memchr(challenge.data, 0, challenge.len))
        return false;
    memcpy(out, challenge.data, challenge.len);
    out[challenge.len] = '\0';
    return true;
}

static bool is_for(const struct authenticator_data *data, struct str rp_id)
{
    uint8_t digest[SHA256_SIZE];
    sha256(rp_id, digest);
    return same(data->rp_id_hash, (struct str){(const char *)digest, sizeof digest}) && data->flags & FLAG_PRESENT &&
           data->flags & FLAG_VERIFIED;
}

/* Section 6.5.4, in the canonical order: {"fmt": "none", "attStmt": {}, "authData": h'…'}. */
static bool read_attestation(struct str object, struct str *authenticator_data)
{
    struct cbor from = cbor_of(object);
    struct cbor_item map, key, value;
    bool format = false, statement = false, data = false;
    if (!cbor_next(&from, &map) || map.kind != CBOR_MAP || map.number != 3)
        return false;
    for (int i = 0; i < 3; i++) {
        if (!cbor_next(&from, &key) || key.kind != CBOR_TEXT || !cbor_next(&from, &value))
            return false;
        if (str_eq(key.bytes, STR("fmt")))
            format = value.kind == CBOR_TEXT && str_eq(value.bytes, STR("none"));
        else if (str_eq(key.bytes, STR("attStmt")))
            statement = value.kind == CBOR_MAP && value.number == 0;
        else if (str_eq(key.bytes, STR("authData")))
            data = value.kind == CBOR_BYTES;
        if (value.kind == CBOR_ARRAY || (value.kind == CBOR_MAP && value.number))
            return false;
        if (value.kind == CBOR_BYTES)
            *authenticator_data = value.bytes;
    }
    return format && statement && data && cbor_ends(&from);
}

enum status webauthn_register(const struct webauthn_expected *expected, struct str client_data,
                              struct str attestation_object, struct webauthn_credential *out, struct error *err)
{
    struct str bytes;
    struct authenticator_data data;
    if (!is_expected(client_data, "webauthn.create", expected))
        return fail(err, INVALID, NULL, "The passkey was made for another site, or for another request: try again");
    if (!read_attestation(attestation_object, &bytes) || !read_authenticator_data(bytes, &data) ||
        !(data.flags & FLAG_CREDENTIAL))
        return fail(err, INVALID, NULL,
                    "The answer of the device cannot be read: the hub takes passkeys without attestation, of the kinds "
                    "ES256, EdDSA and RS256");
    if (!is_for(&data, expected->rp_id))
        return fail(err, INVALID, NULL,
                    "The device has not verified who you are: a passkey needs a PIN, a fingerprint or the like");
    *out = (struct webauthn_credential){data.credential_id, data.public_key, data.sign_count};
    return OK;
}

enum status webauthn_assert(const struct webauthn_expected *expected, const struct webauthn_assertion *given,
                            const struct webauthn_credential *known, uint32_t *sign_count, struct error *err)
{
    struct authenticator_data data;
    struct cose_key key;
    size_t used;
    char text[2048];
    if (cose_key_read(known->public_key, &key, &used, err) != OK)
        return fail(err, CORRUPT, NULL, "A passkey in the database cannot be read");
    bool fits = given->authenticator_data.len <= sizeof text - SHA256_SIZE &&
                is_expected(given->client_data, "webauthn.get", expected) &&
                read_authenticator_data(given->authenticator_data, &data) && !(data.flags & FLAG_CREDENTIAL) &&
                is_for(&data, expected->rp_id);
    if (fits) { /* what is signed: the data, and the digest of the client's */
        size_t len = given->authenticator_data.len;
        memcpy(text, given->authenticator_data.data, len);
        sha256(given->client_data, (uint8_t *)text + len);
        fits = cose_verify(&key, (struct str){text, len + SHA256_SIZE}, given->signature);
    }
    if (!fits)
        return fail(err, UNAUTHENTICATED, "PasskeyRefused", "That passkey does not sign in here: try again");
    if ((data.sign_count || known->sign_count) && data.sign_count <= known->sign_count)
        return fail(
            err, UNAUTHENTICATED, "PasskeyCopied",
            "The device counts fewer signatures than it has made: it may have been copied. Remove that passkey");
    *sign_count = data.sign_count;
    return OK;
}
