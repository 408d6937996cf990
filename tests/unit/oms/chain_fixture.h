/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef CAIRN_TESTS_OMS_CHAIN_FIXTURE_H
#define CAIRN_TESTS_OMS_CHAIN_FIXTURE_H

#include "fixture.h"

#include <openssl/pem.h>
#include <openssl/x509v3.h>

#define DAY INT64_C(86400)
#define NOON INT64_C(1800000000) /* certificates of these tests are valid a day before and after */
#define NOON_US (NOON * 1000000)

/* What a certificate is to be; NULL extensions are left out. */
struct wish {
    const char *name, *constraints, *usage, *extended;
    int64_t not_before, not_after; /* 0: a day around NOON */
    const EVP_MD *hash;
};

static inline void add_extension(X509 *certificate, int kind, const char *value)
{
    X509_EXTENSION *extension = value ? X509V3_EXT_conf_nid(NULL, NULL, kind, value) : NULL;
    if (!value)
        return;
    assert_non_null(extension);
    assert_int_equal(X509_add_ext(certificate, extension, -1), 1);
    X509_EXTENSION_free(extension);
}

static inline X509 *certify(const struct wish *wish, EVP_PKEY *key, X509 *issuer, EVP_PKEY *issuer_key)
{
    X509 *certificate = X509_new();
    X509_set_version(certificate, 2);
    ASN1_INTEGER_set(X509_get_serialNumber(certificate), 7);
    ASN1_TIME_set(X509_getm_notBefore(certificate), wish->not_before ? wish->not_before : NOON - DAY);
    ASN1_TIME_set(X509_getm_notAfter(certificate), wish->not_after ? wish->not_after : NOON + DAY);
    X509_NAME_add_entry_by_txt(X509_get_subject_name(certificate), "CN", MBSTRING_UTF8,
                               (const unsigned char *)wish->name, -1, -1, 0);
    X509_set_issuer_name(certificate, X509_get_subject_name(issuer ? issuer : certificate));
    X509_set_pubkey(certificate, key);
    add_extension(certificate, NID_basic_constraints, wish->constraints);
    add_extension(certificate, NID_key_usage, wish->usage);
    add_extension(certificate, NID_ext_key_usage, wish->extended);
    assert_true(X509_sign(certificate, issuer_key, wish->hash ? wish->hash : EVP_sha256()) > 0);
    return certificate;
}

static inline struct str der_of(struct arena *arena, X509 *certificate)
{
    unsigned char *der = NULL;
    int len = i2d_X509(certificate, &der);
    struct str copy = arena_copy(arena, (struct str){(const char *)der, (size_t)len});
    OPENSSL_free(der);
    return copy;
}

static inline struct str pem_of(struct arena *arena, X509 *certificate)
{
    char *text;
    BIO *bio = BIO_new(BIO_s_mem());
    PEM_write_bio_X509(bio, certificate);
    long len = BIO_get_mem_data(bio, &text);
    struct str copy = arena_copy(arena, (struct str){text, (size_t)len});
    BIO_free(bio);
    return copy;
}

/* A root, an intermediate and a leaf as they should be, but for what a test wishes. */
struct family {
    EVP_PKEY *root_key, *middle_key, *leaf_key;
    struct str chain[2], root_pem, middle_pem;
};

static const struct wish good_root = {"root", "critical,CA:TRUE", "critical,keyCertSign"};
static const struct wish good_middle = {"middle", "critical,CA:TRUE", "critical,keyCertSign"};
static const struct wish good_leaf = {"Ada Lovelace", "critical,CA:FALSE", "critical,digitalSignature"};

static inline struct family make_family(struct arena *arena, const struct wish *middle_wish,
                                        const struct wish *leaf_wish, EVP_PKEY *leaf_key)
{
    struct family family = {make_key("P-384"), make_key("P-256"), leaf_key ? leaf_key : make_key("P-256")};
    X509 *root = certify(&good_root, family.root_key, NULL, family.root_key);
    X509 *middle = certify(middle_wish, family.middle_key, root, family.root_key);
    X509 *leaf = certify(leaf_wish, family.leaf_key, middle, family.middle_key);
    family.chain[0] = der_of(arena, leaf);
    family.chain[1] = der_of(arena, middle);
    family.root_pem = pem_of(arena, root);
    family.middle_pem = pem_of(arena, middle);
    X509_free(root);
    X509_free(middle);
    X509_free(leaf);
    return family;
}

static inline void family_free(struct family *family)
{
    oms_key_free(&family->root_key);
    oms_key_free(&family->middle_key);
    oms_key_free(&family->leaf_key);
}
#define auto_family __attribute__((cleanup(family_free)))

#endif
