/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef CAIRN_WEBAUTHN_COSE_H
#define CAIRN_WEBAUTHN_COSE_H

#include "base/error.h"
#include "base/str.h"

/* Public keys as authenticators write them (RFC 9052 section 7, RFC 9053, RFC 8230). */
enum cose_algorithm {
    COSE_ES256 = -7,   /* ECDSA with P-256 and SHA-256 */
    COSE_EDDSA = -8,   /* Ed25519 */
    COSE_RS256 = -257, /* RSASSA-PKCS1-v1_5 with SHA-256, modulus of 2048 to 4096 bits */
};

struct cose_key {
    enum cose_algorithm algorithm;
    struct str x, y; /* of a curve; of RSA the modulus and the exponent. Views of what was read */
};

/*
 * Reads the key at the front of data; *used is how much of it that was. INVALID for an algorithm that is not above, for
 * one whose parameters do not fit, for members that are there twice or out of their order.
 */
enum status cose_key_read(struct str data, struct cose_key *out, size_t *used, struct error *err);

/* Is that a signature over data? ES256's is in DER, as WebAuthn has it. False too for a key that is no point of its curve. */
bool cose_verify(const struct cose_key *key, struct str data, struct str signature);

#endif
