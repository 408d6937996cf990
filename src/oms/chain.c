/* SPDX-License-Identifier: LGPL-3.0-or-later */
#include "oms/chain.h"

#include "base/text.h"
#include "base/time.h"
#include "oms/internal.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <openssl/x509_vfy.h>
#include <openssl/x509v3.h>
#include <stdlib.h>

/* 112 bits of security: no SHA-1, no RSA below 2048 bits, anywhere in the chain. */
#define SECURITY_LEVEL 2

static void must(bool done)
{
    if (!done)
        abort();
}

static void release_list(STACK_OF(X509) * *list)
{
    sk_X509_pop_free(*list, X509_free);
}
static void release_store(X509_STORE **store)
{
    X509_STORE_free(*store);
}
static void release_context(X509_STORE_CTX **context)
{
    X509_STORE_CTX_free(*context);
}
#define auto_list __attribute__((cleanup(release_list)))
#define auto_store __attribute__((cleanup(release_store)))
#define auto_context __attribute__((cleanup(release_context)))

static enum status read_chain(const struct str *certificates, size_t count, STACK_OF(X509) * list, struct error *err)
{
    if (count == 0 || count > CHAIN_MOST)
        return fail(err, INVALID, NULL, "A chain has 1 to %d certificates; this one has %zu.", CHAIN_MOST, count);
    for (size_t i = 0; i < count; i++) {
        if (certificates[i].len > CHAIN_CERTIFICATE_MOST)
            return fail(err, TOO_LARGE, NULL, "Certificate %zu of the chain has %zu bytes; %d are allowed.", i + 1,
                        certificates[i].len, CHAIN_CERTIFICATE_MOST);
        const unsigned char *at = (const unsigned char *)certificates[i].data, *end = at + certificates[i].len;
        X509 *certificate = d2i_X509(NULL, &at, (long)certificates[i].len);
        ERR_clear_error();
        if (certificate)
            must(sk_X509_push(list, certificate) > 0);
        if (!certificate || at != end)
            return fail(err, INVALID, NULL, "Certificate %zu of the chain is not an X.509 certificate in DER.", i + 1);
    }
    return OK;
}

/* what names the certificates in messages, as in "The trusted certificates". */
static enum status read_pem(struct str pem, const char *what, STACK_OF(X509) * list, struct error *err)
{
    if (pem.len > CHAIN_ANCHORS_MOST)
        return fail(err, TOO_LARGE, NULL, "%s have %zu bytes; %d are allowed.", what, pem.len, CHAIN_ANCHORS_MOST);
    BIO *bio = BIO_new_mem_buf(pem.len ? pem.data : "", (int)pem.len);
    must(bio);
    for (X509 *one; (one = PEM_read_bio_X509(bio, NULL, NULL, NULL));)
        must(sk_X509_push(list, one) > 0);
    /* The list must end because the text does, not because of a certificate that cannot be read. */
    unsigned long reason = ERR_peek_last_error();
    bool ended = ERR_GET_LIB(reason) == ERR_LIB_PEM && ERR_GET_REASON(reason) == PEM_R_NO_START_LINE;
    ERR_clear_error();
    BIO_free(bio);
    if (sk_X509_num(list) == 0 || !ended)
        return fail(err, INVALID, NULL, "%s should be X.509 in PEM, one or more; number %d is not.", what,
                    sk_X509_num(list) + 1);
    return OK;
}

static enum status read_anchors(struct str pem, X509_STORE *store, struct error *err)
{
    auto_list STACK_OF(X509) *list = sk_X509_new_null();
    must(list);
    TRY(read_pem(pem, "The trusted certificates", list, err));
    for (int i = 0; i < sk_X509_num(list); i++)
        must(X509_STORE_add_cert(store, sk_X509_value(list, i)) == 1);
    return OK;
}

enum status chain_check_anchors(struct str anchors, struct error *err)
{
    auto_store X509_STORE *store = X509_STORE_new();
    must(store);
    return read_anchors(anchors, store, err);
}

static struct str to_der(struct arena *arena, X509 *certificate)
{
    unsigned char *der = NULL;
    int len = i2d_X509(certificate, &der);
    must(len > 0);
    struct str copy = arena_copy(arena, (struct str){(const char *)der, (size_t)len});
    OPENSSL_free(der);
    return copy;
}

enum status chain_read_pem(struct arena *arena, struct str pem, struct str **certificates, size_t *count,
                           struct error *err)
{
    auto_list STACK_OF(X509) *list = sk_X509_new_null();
    must(list);
    TRY(read_pem(pem, "The signer's certificates", list, err));
    int found = sk_X509_num(list);
    if (found > 1 && X509_self_signed(sk_X509_value(list, found - 1), 0) == 1)
        found--;
    if (found > CHAIN_MOST)
        return fail(err, INVALID, NULL, "A chain has 1 to %d certificates; this one has %d.", CHAIN_MOST, found);
    *certificates = arena_array(arena, (size_t)found, sizeof **certificates);
    for (*count = 0; *count < (size_t)found; ++*count)
        (*certificates)[*count] = to_der(arena, sk_X509_value(list, (int)*count));
    return OK;
}

static enum status verify(X509_STORE *store, STACK_OF(X509) * list, int64_t time_us, struct error *err)
{
    auto_context X509_STORE_CTX *context = X509_STORE_CTX_new();
    must(context && X509_STORE_CTX_init(context, store, sk_X509_value(list, 0), list) == 1);
    X509_VERIFY_PARAM *rules = X509_STORE_CTX_get0_param(context);
    X509_VERIFY_PARAM_set_time(rules, (time_t)(time_us / SECOND_US));
    X509_VERIFY_PARAM_set_depth(rules, CHAIN_MOST);
    X509_VERIFY_PARAM_set_auth_level(rules, SECURITY_LEVEL);
    must(X509_VERIFY_PARAM_set_flags(rules, X509_V_FLAG_PARTIAL_CHAIN) == 1);
    int good = X509_verify_cert(context);
    int reason = X509_STORE_CTX_get_error(context), depth = X509_STORE_CTX_get_error_depth(context);
    ERR_clear_error();
    if (good == 1)
        return OK;
    return fail(err, UNPROCESSABLE, NULL, "The signer's certificate is not accepted: %s (certificate %d of the chain).",
                X509_verify_cert_error_string(reason), depth + 1);
}

static bool may_sign(X509 *leaf)
{
    uint32_t flags = X509_get_extension_flags(leaf);
    return ((flags & EXFLAG_KUSAGE) && (X509_get_key_usage(leaf) & KU_DIGITAL_SIGNATURE)) ||
           ((flags & EXFLAG_XKUSAGE) && (X509_get_extended_key_usage(leaf) & XKU_CODE_SIGN));
}

static int64_t seconds(const ASN1_TIME *time)
{
    struct tm parts = {0};
    return ASN1_TIME_to_tm(time, &parts) == 1 ? timegm(&parts) : 0;
}

static struct str subject_text(struct arena *arena, X509 *leaf)
{
    char *text;
    BIO *bio = BIO_new(BIO_s_mem());
    must(bio && X509_NAME_print_ex(bio, X509_get_subject_name(leaf), 0, XN_FLAG_RFC2253 & ~ASN1_STRFLGS_ESC_MSB) >= 0);
    long len = BIO_get_mem_data(bio, &text);
    auto_buf struct buf shown = {0};
    name_show(&shown, (struct str){text, (size_t)len});
    BIO_free(bio);
    return arena_copy(arena, buf_view(&shown));
}

static enum status get_key(X509 *leaf, EVP_PKEY **out, struct error *err)
{
    auto_key EVP_PKEY *key = X509_get_pubkey(leaf);
    ERR_clear_error();
    if (!key || !oms_key_is_ecdsa(key))
        return fail(err, UNSUPPORTED, NULL,
                    "The signer's certificate should be for an ECDSA key on the named curves P-256, P-384 or P-521.");
    *out = key;
    key = NULL;
    return OK;
}

enum status chain_leaf_key(const struct str *certificates, size_t count, EVP_PKEY **out, struct error *err)
{
    auto_list STACK_OF(X509) *list = sk_X509_new_null();
    must(list);
    *out = NULL;
    TRY(read_chain(certificates, count, list, err));
    return get_key(sk_X509_value(list, 0), out, err);
}

enum status chain_verify(struct arena *arena, const struct str *certificates, size_t count, struct str anchors,
                         int64_t time_us, struct chain_leaf *out, struct error *err)
{
    auto_list STACK_OF(X509) *list = sk_X509_new_null();
    auto_store X509_STORE *store = X509_STORE_new();
    must(list && store);
    TRY(read_chain(certificates, count, list, err));
    TRY(read_anchors(anchors, store, err));
    TRY(verify(store, list, time_us, err));
    X509 *leaf = sk_X509_value(list, 0);
    if (!may_sign(leaf))
        return fail(err, UNPROCESSABLE, NULL,
                    "The signer's certificate is not for signing: it should have the key usage digitalSignature or the "
                    "extended key usage codeSigning.");
    uint8_t digest[SHA256_SIZE];
    sha256(certificates[0], digest);
    *out = (struct chain_leaf){.subject = subject_text(arena, leaf),
                               .fingerprint = hex_encode(arena, digest, sizeof digest),
                               .not_before = seconds(X509_get0_notBefore(leaf)),
                               .not_after = seconds(X509_get0_notAfter(leaf))};
    return get_key(leaf, &out->key, err);
}
