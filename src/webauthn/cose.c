/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "webauthn/cose.h"
#include "webauthn/cbor.h"
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>

/* The labels of RFC 9052 table 4, RFC 9053 tables 18 and 19, RFC 8230 table 4. */
enum { KTY = 1, ALG = 3, CRV = -1, X = -2, Y = -3, RSA_N = -1, RSA_E = -2 };
enum { KTY_OKP = 1, KTY_EC2 = 2, KTY_RSA = 3, CRV_P256 = 1, CRV_ED25519 = 6 };

static enum status refuse(struct error *err)
{
    return fail(err, INVALID, NULL,
                "The public key of the passkey is not one that the hub reads: ES256, EdDSA with Ed25519, or RS256");
}

/* The members by label; absent ones have the kind CBOR_SIMPLE, which none may have. */
struct members {
    struct cbor_item kty, alg, first, second, third; /* labels 1, 3, -1, -2, -3 */
};

static struct cbor_item *place_of(struct members *members, int64_t label)
{
    switch (label) {
    case KTY:
        return &members->kty;
    case ALG:
        return &members->alg;
    case CRV:
        return &members->first;
    case X:
        return &members->second;
    case Y:
        return &members->third;
    default:
        return NULL;
    }
}

static bool read_members(struct cbor *from, struct members *out)
{
    const struct cbor_item none = {.kind = CBOR_SIMPLE};
    struct cbor_item map;
    *out = (struct members){none, none, none, none, none};
    if (!cbor_next(from, &map) || map.kind != CBOR_MAP || map.number > 5)
        return false;
    for (int64_t i = 0; i < map.number; i++) {
        struct cbor_item label;
        if (!cbor_next(from, &label) || (label.kind != CBOR_UNSIGNED && label.kind != CBOR_NEGATIVE))
            return false;
        struct cbor_item *place = place_of(out, label.number);
        if (!place || place->kind != CBOR_SIMPLE || !cbor_next(from, place) || place->kind > CBOR_BYTES)
            return false;
    }
    return true;
}

static bool is_number(const struct cbor_item *item, int64_t wanted)
{
    return (item->kind == CBOR_UNSIGNED || item->kind == CBOR_NEGATIVE) && item->number == wanted;
}

static bool is_bytes(const struct cbor_item *item, size_t least, size_t most)
{
    return item->kind == CBOR_BYTES && item->bytes.len >= least && item->bytes.len <= most;
}

static bool is_ec2(const struct members *m)
{
    return is_number(&m->kty, KTY_EC2) && is_number(&m->alg, COSE_ES256) && is_number(&m->first, CRV_P256) &&
           is_bytes(&m->second, 32, 32) && is_bytes(&m->third, 32, 32);
}

static bool is_okp(const struct members *m)
{
    return is_number(&m->kty, KTY_OKP) && is_number(&m->alg, COSE_EDDSA) && is_number(&m->first, CRV_ED25519) &&
           is_bytes(&m->second, 32, 32) && m->third.kind == CBOR_SIMPLE;
}

static bool is_rsa(const struct members *m)
{
    return is_number(&m->kty, KTY_RSA) && is_number(&m->alg, COSE_RS256) && is_bytes(&m->first, 256, 512) &&
           m->first.bytes.data[0] & 0x80 && is_bytes(&m->second, 1, 4) && m->second.bytes.data[0] &&
           m->third.kind == CBOR_SIMPLE;
}

enum status cose_key_read(struct str data, struct cose_key *out, size_t *used, struct error *err)
{
    struct members members;
    struct cbor from = cbor_of(data);
    if (!read_members(&from, &members))
        return refuse(err);
    *used = (size_t)((const char *)from.at - data.data);
    if (is_ec2(&members))
        *out = (struct cose_key){COSE_ES256, members.second.bytes, members.third.bytes};
    else if (is_okp(&members))
        *out = (struct cose_key){COSE_EDDSA, members.second.bytes, {0}};
    else if (is_rsa(&members))
        *out = (struct cose_key){COSE_RS256, members.first.bytes, members.second.bytes};
    else
        return refuse(err);
    return OK;
}

/* Verifying, by OpenSSL. */

static EVP_PKEY *from_params(const char *type, OSSL_PARAM_BLD *builder)
{
    EVP_PKEY *key = NULL;
    OSSL_PARAM *params = builder ? OSSL_PARAM_BLD_to_param(builder) : NULL;
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_name(NULL, type, NULL);
    if (!params || !context || EVP_PKEY_fromdata_init(context) != 1 ||
        EVP_PKEY_fromdata(context, &key, EVP_PKEY_PUBLIC_KEY, params) != 1)
        key = NULL;
    EVP_PKEY_CTX_free(context);
    OSSL_PARAM_free(params);
    OSSL_PARAM_BLD_free(builder);
    return key;
}

static EVP_PKEY *p256_key(const struct cose_key *key)
{
    unsigned char point[65] = {4};
    OSSL_PARAM_BLD *builder = OSSL_PARAM_BLD_new();
    memcpy(point + 1, key->x.data, 32);
    memcpy(point + 33, key->y.data, 32);
    if (builder && OSSL_PARAM_BLD_push_utf8_string(builder, OSSL_PKEY_PARAM_GROUP_NAME, "P-256", 0) == 1 &&
        OSSL_PARAM_BLD_push_octet_string(builder, OSSL_PKEY_PARAM_PUB_KEY, point, sizeof point) == 1)
        return from_params("EC", builder);
    OSSL_PARAM_BLD_free(builder);
    return NULL;
}

static EVP_PKEY *rsa_key(const struct cose_key *key)
{
    OSSL_PARAM_BLD *builder = OSSL_PARAM_BLD_new();
    BIGNUM *n = BN_bin2bn((const unsigned char *)key->x.data, (int)key->x.len, NULL);
    BIGNUM *e = BN_bin2bn((const unsigned char *)key->y.data, (int)key->y.len, NULL);
    EVP_PKEY *made = NULL;
    if (builder && n && e && OSSL_PARAM_BLD_push_BN(builder, OSSL_PKEY_PARAM_RSA_N, n) == 1 &&
        OSSL_PARAM_BLD_push_BN(builder, OSSL_PKEY_PARAM_RSA_E, e) == 1)
        made = from_params("RSA", builder);
    else
        OSSL_PARAM_BLD_free(builder);
    BN_free(n);
    BN_free(e);
    return made;
}

static EVP_PKEY *public_key(const struct cose_key *key)
{
    switch (key->algorithm) {
    case COSE_ES256:
        return p256_key(key);
    case COSE_EDDSA:
        return EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, NULL, (const unsigned char *)key->x.data, key->x.len);
    default:
        return rsa_key(key);
    }
}

bool cose_verify(const struct cose_key *key, struct str data, struct str signature)
{
    EVP_PKEY *public = public_key(key);
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    const EVP_MD *digest = key->algorithm == COSE_EDDSA ? NULL : EVP_sha256();
    bool good = public && context && EVP_DigestVerifyInit(context, NULL, digest, NULL, public) == 1 &&
                EVP_DigestVerify(context, (const unsigned char *)signature.data, signature.len,
                                 (const unsigned char *)data.data, data.len) == 1;
    EVP_MD_CTX_free(context);
    EVP_PKEY_free(public);
    return good;
}
