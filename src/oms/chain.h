/* SPDX-License-Identifier: LGPL-3.0-or-later */
#ifndef CAIRN_OMS_CHAIN_H
#define CAIRN_OMS_CHAIN_H

#include "base/arena.h"
#include "oms/key.h"

/* Certificates of signers (X.509). */
#define CHAIN_MOST 16
#define CHAIN_CERTIFICATE_MOST (64 * 1024) /* bytes of DER */
#define CHAIN_ANCHORS_MOST (1024 * 1024)   /* bytes of PEM */

struct chain_leaf {
    EVP_PKEY *key;                 /* to be freed with oms_key_free(); ECDSA */
    struct str subject;            /* RFC 2253 text, for people; only as true as the one who issued it */
    struct str fingerprint;        /* SHA-256 of the certificate in lower case hex */
    int64_t not_before, not_after; /* seconds since 1970 */
};

/*
 * Verifies a chain, leaf first, up to one of the certificates in anchors (PEM; any of them ends the chain, whether it
 * signed itself or not), as of a time in microseconds: all certificates must be valid then. That time is the caller's
 * to prove; what the signer claims will not do (provenance 2.3). Revocation is not looked at.
 *
 * INVALID for what is not a certificate or for more than CHAIN_MOST; TOO_LARGE over the limits; UNPROCESSABLE when the
 * chain does not hold, or its leaf may not sign (neither digitalSignature nor codeSigning); UNSUPPORTED for a key not
 * ECDSA.
 */
enum status chain_verify(struct arena *arena, const struct str *certificates, size_t count, struct str anchors,
                         int64_t time_us, struct chain_leaf *out, struct error *err);

/*
 * Reads the certificates of a PEM text, leaf first, as bundles want them: in DER, without a root that comes last. The
 * list lives in the arena. INVALID for a text without any, or with one that cannot be read; TOO_LARGE over the limits.
 */
enum status chain_read_pem(struct arena *arena, struct str pem, struct str **certificates, size_t *count,
                           struct error *err);

/* Whether chain_verify() can use the anchors: INVALID or TOO_LARGE when not. */
enum status chain_check_anchors(struct str anchors, struct error *err);

/* The key of the first certificate, to be freed. Nothing is verified; errors as above. */
enum status chain_leaf_key(const struct str *certificates, size_t count, EVP_PKEY **out, struct error *err);

#endif
