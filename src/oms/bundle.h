/* SPDX-License-Identifier: LGPL-3.0-or-later */
#ifndef CAIRN_OMS_BUNDLE_H
#define CAIRN_OMS_BUNDLE_H

#include "oms/chain.h"
#include "oms/dsse.h"
#include "oms/statement.h"

/*
 * Signature files of models (OpenSSF Model Signing v1.0 in Sigstore's bundle v0.3). To make one: oms_statement_write(),
 * let the author sign dsse_pae() of it, oms_bundle_of_key() or oms_bundle_of_chain(), oms_bundle_write(). To check one:
 * oms_bundle_read(), oms_bundle_verify_key() or …_chain(), oms_statement_compare().
 */
#define OMS_BUNDLE_MOST (32 * 1024 * 1024)

enum oms_method {
    OMS_BY_KEY,         /* the reader must know the key */
    OMS_BY_CERTIFICATE, /* brings its chain */
    OMS_BY_SIGSTORE,    /* a certificate of minutes and a public log; can be read here, not verified */
};

struct oms_bundle {
    enum oms_method method;
    struct str hint;          /* of the key, see oms_key_hint(); a claim. Absent in bundles from before 1.1 */
    struct str *certificates; /* DER, leaf first; a claim */
    size_t certificate_count;
    struct dsse_envelope envelope; /* with exactly one signature */
};

/*
 * Reads a bundle; nothing is verified, and the payload is not looked at. INVALID for what is not one, TOO_LARGE over
 * OMS_BUNDLE_MOST bytes, UNSUPPORTED for other media types. *out lives in the arena.
 */
enum status oms_bundle_read(struct arena *arena, struct str text, struct oms_bundle *out, struct error *err);

/*
 * Verifies that the key signed the bundle, and only then reads what it signed. UNPROCESSABLE when it did not, INVALID
 * or UNSUPPORTED from oms_statement_read(), UNSUPPORTED for a bundle by another method or a key not ECDSA.
 */
enum status oms_bundle_verify_key(struct arena *arena, const struct oms_bundle *bundle, EVP_PKEY *key,
                                  struct oms_statement *out, struct error *err);

/* The same by certificates; see chain_verify() for anchors and time. *leaf is filled on OK, and its key is to be freed.
 */
enum status oms_bundle_verify_chain(struct arena *arena, const struct oms_bundle *bundle, struct str anchors,
                                    int64_t time_us, struct chain_leaf *leaf, struct oms_statement *out,
                                    struct error *err);

/*
 * A bundle from a statement and its signature (raw DER) by the key, public or private, or by that of the first
 * certificate. UNPROCESSABLE when the signature does not fit. The chain should lack its root, and nobody is asked to
 * trust it here. *out points to what it was made from.
 */
enum status oms_bundle_of_key(struct arena *arena, struct str statement, struct str sig, EVP_PKEY *key,
                              struct oms_bundle *out, struct error *err);
enum status oms_bundle_of_chain(struct arena *arena, struct str statement, struct str sig,
                                const struct str *certificates, size_t count, struct oms_bundle *out,
                                struct error *err);

/* Appends the bundle as JSON; TOO_LARGE over OMS_BUNDLE_MOST bytes, UNSUPPORTED for OMS_BY_SIGSTORE. */
enum status oms_bundle_write(struct arena *arena, const struct oms_bundle *bundle, struct buf *out, struct error *err);

#endif
