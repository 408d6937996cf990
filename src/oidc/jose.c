/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "oidc/jose.h"
#include "base/hash.h"
#include "base/text.h"
#include <assert.h>
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/ecdsa.h>
#include <openssl/param_build.h>

#define HEADER_MOST (8 * 1024)
#define KEYS_COUNT_MOST 100

static enum status refuse(struct error *err, const char *why)
{
    return fail(err, UNAUTHENTICATED, "TokenRefused", "The token of the provider was refused: %s", why);
}

/* Keys. */

static bool member_bytes(struct arena *arena, const json_t *jwk, const char *name, size_t least, size_t most,
                         struct str *out)
{
    struct str text = json_get_str(jwk, name);
    return str_given(text) && base64url_decode(arena, text, out) && out->len >= least && out->len <= most;
}

static EVP_PKEY *from_params(const char *type, OSSL_PARAM_BLD *builder)
{
    EVP_PKEY *key = NULL;
    OSSL_PARAM *params = OSSL_PARAM_BLD_to_param(builder);
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_name(NULL, type, NULL);
    if (!params || !context || EVP_PKEY_fromdata_init(context) != 1 ||
        EVP_PKEY_fromdata(context, &key, EVP_PKEY_PUBLIC_KEY, params) != 1)
        key = NULL;
    EVP_PKEY_CTX_free(context);
    OSSL_PARAM_free(params);
    return key;
}

static EVP_PKEY *read_ec(struct arena *arena, const json_t *jwk)
{
    struct str x, y;
    unsigned char point[65] = {4};
    if (!str_eq(json_get_str(jwk, "crv"), STR("P-256")) || !member_bytes(arena, jwk, "x", 32, 32, &x) ||
        !member_bytes(arena, jwk, "y", 32, 32, &y))
        return NULL;
    memcpy(point + 1, x.data, 32);
    memcpy(point + 33, y.data, 32);
    OSSL_PARAM_BLD *builder = OSSL_PARAM_BLD_new();
    EVP_PKEY *key = NULL;
    if (builder && OSSL_PARAM_BLD_push_utf8_string(builder, OSSL_PKEY_PARAM_GROUP_NAME, "P-256", 0) == 1 &&
        OSSL_PARAM_BLD_push_octet_string(builder, OSSL_PKEY_PARAM_PUB_KEY, point, sizeof point) == 1)
        key = from_params("EC", builder);
    OSSL_PARAM_BLD_free(builder);
    return key;
}

/* 2048 to 4096 bits; a larger exponent or modulus would only cost us time. */
static EVP_PKEY *read_rsa(struct arena *arena, const json_t *jwk)
{
    struct str n, e;
    if (!member_bytes(arena, jwk, "n", 256, 512, &n) || !(n.data[0] & 0x80) || !member_bytes(arena, jwk, "e", 1, 4, &e))
        return NULL;
    OSSL_PARAM_BLD *builder = OSSL_PARAM_BLD_new();
    BIGNUM *modulus = BN_bin2bn((const unsigned char *)n.data, (int)n.len, NULL);
    BIGNUM *exponent = BN_bin2bn((const unsigned char *)e.data, (int)e.len, NULL);
    EVP_PKEY *key = NULL;
    if (builder && modulus && exponent && OSSL_PARAM_BLD_push_BN(builder, OSSL_PKEY_PARAM_RSA_N, modulus) == 1 &&
        OSSL_PARAM_BLD_push_BN(builder, OSSL_PKEY_PARAM_RSA_E, exponent) == 1)
        key = from_params("RSA", builder);
    OSSL_PARAM_BLD_free(builder);
    BN_free(modulus);
    BN_free(exponent);
    return key;
}

enum algorithm { RS256, ES256 };
static const struct {
    struct str name, type;
    EVP_PKEY *(*read)(struct arena *arena, const json_t *jwk);
} algorithms[] = {[RS256] = {{"RS256", 5}, {"RSA", 3}, read_rsa}, [ES256] = {{"ES256", 5}, {"EC", 2}, read_ec}};

/* What a key says of itself binds: a key for encryption, or for another algorithm, verifies nothing. */
static bool key_fits(const json_t *jwk, enum algorithm algorithm, struct str kid)
{
    struct str use = json_get_str(jwk, "use"), alg = json_get_str(jwk, "alg");
    return json_is_object(jwk) && str_eq(json_get_str(jwk, "kty"), algorithms[algorithm].type) &&
           (!json_object_get(jwk, "use") || str_eq(use, STR("sig"))) &&
           (!json_object_get(jwk, "alg") || str_eq(alg, algorithms[algorithm].name)) &&
           (!str_given(kid) || str_eq(json_get_str(jwk, "kid"), kid));
}

/* Signatures. */

/* JWS writes the two numbers side by side, OpenSSL wants them in DER (RFC 7518 section 3.4). */
static bool to_der(struct arena *arena, struct str raw, struct str *out)
{
    if (raw.len != 64)
        return false;
    ECDSA_SIG *pair = ECDSA_SIG_new();
    BIGNUM *r = BN_bin2bn((const unsigned char *)raw.data, 32, NULL);
    BIGNUM *s = BN_bin2bn((const unsigned char *)raw.data + 32, 32, NULL);
    assert(pair && r && s && ECDSA_SIG_set0(pair, r, s) == 1);
    unsigned char *der = NULL;
    int len = i2d_ECDSA_SIG(pair, &der);
    *out = arena_copy(arena, (struct str){(const char *)der, len > 0 ? (size_t)len : 0});
    OPENSSL_free(der);
    ECDSA_SIG_free(pair);
    return len > 0;
}

static bool verifies(EVP_PKEY *key, struct str data, struct str signature)
{
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    bool good = context && EVP_DigestVerifyInit(context, NULL, EVP_sha256(), NULL, key) == 1 &&
                EVP_DigestVerify(context, (const unsigned char *)signature.data, signature.len,
                                 (const unsigned char *)data.data, data.len) == 1;
    EVP_MD_CTX_free(context);
    return good;
}

struct parts {
    struct str signing, signature; /* the text that is signed; the signature, decoded */
    struct str payload;
    enum algorithm algorithm;
    struct str kid; /* in the arena; absent: none */
};

static enum status read_header(struct arena *arena, struct str text, struct parts *out, struct error *err)
{
    auto_json json_t *header = NULL;
    if (json_read(text, HEADER_MOST, &header, NULL) != OK || !json_is_object(header))
        return refuse(err, "its header is no JSON object");
    if (json_object_get(header, "crit"))
        return refuse(err, "its header asks for something that the hub does not know (\"crit\")");
    struct str alg = json_get_str(header, "alg"), kid = json_get_str(header, "kid");
    size_t i = 0;
    while (i < sizeof algorithms / sizeof *algorithms && !str_eq(alg, algorithms[i].name))
        i++;
    if (i == sizeof algorithms / sizeof *algorithms)
        return refuse(err, "it is not signed with RS256 or ES256");
    if (json_object_get(header, "kid") && !str_given(kid))
        return refuse(err, "its \"kid\" is no text");
    out->algorithm = (enum algorithm)i;
    out->kid = str_given(kid) ? arena_copy(arena, kid) : kid;
    return OK;
}

static enum status split(struct arena *arena, struct str token, struct parts *out, struct error *err)
{
    struct str rest = token, pieces[3], header;
    if (token.len > JOSE_TOKEN_MOST)
        return refuse(err, "it is too long");
    for (int i = 0; i < 3; i++)
        if (!str_cut(&rest, '.', &pieces[i]) || !pieces[i].len)
            return refuse(err, "it is not a signed token in three parts");
    if (str_given(rest) || !base64url_decode(arena, pieces[0], &header) ||
        !base64url_decode(arena, pieces[1], &out->payload) || !base64url_decode(arena, pieces[2], &out->signature))
        return refuse(err, "it is not a signed token in three parts");
    out->signing = str_slice(token, 0, pieces[0].len + 1 + pieces[1].len);
    return read_header(arena, header, out, err);
}

static enum status read_payload(const struct parts *parts, json_t **payload, struct error *err)
{
    if (json_read(parts->payload, JOSE_TOKEN_MOST, payload, NULL) == OK && json_is_object(*payload))
        return OK;
    json_release(payload);
    return refuse(err, "it does not hold a JSON object");
}

enum status jose_verify(struct arena *arena, struct str token, struct str keys, json_t **payload, struct error *err)
{
    auto_json json_t *set = NULL;
    struct parts parts;
    bool fits = false, good = false;
    size_t i;
    json_t *jwk;
    TRY(split(arena, token, &parts, err));
    if (json_read(keys, JOSE_KEYS_MOST, &set, NULL) != OK ||
        json_array_size(json_object_get(set, "keys")) > KEYS_COUNT_MOST)
        return refuse(err, "the provider's keys are no JWK Set");
    if (parts.algorithm == ES256 && !to_der(arena, parts.signature, &parts.signature))
        return refuse(err, "its signature does not have the length of one");
    json_array_foreach(json_object_get(set, "keys"), i, jwk)
    {
        EVP_PKEY *key = key_fits(jwk, parts.algorithm, parts.kid) ? algorithms[parts.algorithm].read(arena, jwk) : NULL;
        fits = fits || key;
        good = good || (key && verifies(key, parts.signing, parts.signature));
        EVP_PKEY_free(key);
    }
    if (!fits)
        return fail(err, NOT_FOUND, "TokenRefused",
                    "The token of the provider was refused: it is signed with a key that the provider does not have");
    if (!good)
        return refuse(err, "its signature is not right");
    return read_payload(&parts, payload, err);
}

enum status jose_peek(struct arena *arena, struct str token, json_t **payload, struct error *err)
{
    struct parts parts;
    TRY(split(arena, token, &parts, err));
    return read_payload(&parts, payload, err);
}

/* Our own. */

static void public_point(const EVP_PKEY *key, unsigned char point[65])
{
    size_t len = 0;
    int got = EVP_PKEY_get_octet_string_param(key, OSSL_PKEY_PARAM_PUB_KEY, point, 65, &len);
    assert(got == 1 && len == 65 && point[0] == 4);
}

struct str jose_sign(struct arena *arena, EVP_PKEY *key, struct str kid, struct str payload)
{
    unsigned char der[80], raw[64];
    size_t len = sizeof der;
    const unsigned char *at = der;
    struct str header = arena_printf(arena, "{\"alg\":\"ES256\",\"kid\":\"%.*s\",\"typ\":\"JWT\"}", STR_ARG(kid));
    struct str signing = arena_printf(arena, "%.*s.%.*s", STR_ARG(base64url_encode(arena, header)),
                                      STR_ARG(base64url_encode(arena, payload)));
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    int done = context && EVP_DigestSignInit(context, NULL, EVP_sha256(), NULL, key) == 1 &&
               EVP_DigestSign(context, der, &len, (const unsigned char *)signing.data, signing.len) == 1;
    assert(done);
    EVP_MD_CTX_free(context);
    ECDSA_SIG *pair = d2i_ECDSA_SIG(NULL, &at, (long)len);
    assert(pair);
    BN_bn2binpad(ECDSA_SIG_get0_r(pair), raw, 32);
    BN_bn2binpad(ECDSA_SIG_get0_s(pair), raw + 32, 32);
    ECDSA_SIG_free(pair);
    return arena_printf(arena, "%.*s.%.*s", STR_ARG(signing),
                        STR_ARG(base64url_encode(arena, (struct str){(const char *)raw, sizeof raw})));
}

static void point_texts(struct arena *arena, const EVP_PKEY *key, struct str *x, struct str *y)
{
    unsigned char point[65];
    public_point(key, point);
    *x = base64url_encode(arena, (struct str){(const char *)point + 1, 32});
    *y = base64url_encode(arena, (struct str){(const char *)point + 33, 32});
}

struct str jose_thumbprint(struct arena *arena, const EVP_PKEY *key)
{
    struct str x, y;
    uint8_t digest[SHA256_SIZE];
    point_texts(arena, key, &x, &y);
    sha256(
        arena_printf(arena, "{\"crv\":\"P-256\",\"kty\":\"EC\",\"x\":\"%.*s\",\"y\":\"%.*s\"}", STR_ARG(x), STR_ARG(y)),
        digest);
    return base64url_encode(arena, (struct str){(const char *)digest, sizeof digest});
}

void jose_write_key(struct json_writer *w, struct arena *arena, const EVP_PKEY *key)
{
    struct str x, y;
    point_texts(arena, key, &x, &y);
    jw_object(w);
    jw_key_str(w, "kty", STR("EC"));
    jw_key_str(w, "crv", STR("P-256"));
    jw_key_str(w, "x", x);
    jw_key_str(w, "y", y);
    jw_key_str(w, "kid", jose_thumbprint(arena, key));
    jw_key_str(w, "use", STR("sig"));
    jw_key_str(w, "alg", STR("ES256"));
    jw_end(w);
}
