/* SPDX-License-Identifier: LGPL-3.0-or-later */
#ifndef CAIRN_OMS_KEY_H
#define CAIRN_OMS_KEY_H

#include "base/buf.h"
#include "base/error.h"
#include "base/hash.h"
#include <openssl/evp.h>

/*
 * The keys that people sign with: ECDSA on P-256, P-384 or P-521, and Ed25519 for evidence (models are signed with
 * ECDSA only, provenance 2.1). All other kinds are refused here, so that nothing further in has to think of them.
 */
#define OMS_PEM_MOST (16 * 1024)
#define OMS_HINT_SIZE (2 * SHA256_SIZE + 1)

#define auto_key __attribute__((cleanup(oms_key_free)))
void oms_key_free(EVP_PKEY **key);

/*
 * Reads the first key of a PEM text; *out is to be freed. INVALID when there is none, TOO_LARGE over OMS_PEM_MOST
 * bytes, UNSUPPORTED for other kinds of keys. A private key under a passphrase is INVALID: nobody is asked for one.
 */
enum status oms_key_read_public(struct str pem, EVP_PKEY **out, struct error *err);
enum status oms_key_read_private(struct str pem, EVP_PKEY **out, struct error *err);

/* UNSUPPORTED unless key is of a kind named above. */
enum status oms_key_check(const EVP_PKEY *key, struct error *err);
bool oms_key_is_ecdsa(const EVP_PKEY *key);

/* Appends the key as PEM: SubjectPublicKeyInfo, or PKCS#8 without a passphrase. */
void oms_key_write_public(const EVP_PKEY *key, struct buf *out);
void oms_key_write_private(const EVP_PKEY *key, struct buf *out);

/* The name that bundles give a key: the SHA-256, in lower case hex, of its public PEM text. */
void oms_key_hint(const EVP_PKEY *key, char out[OMS_HINT_SIZE]);

#endif
