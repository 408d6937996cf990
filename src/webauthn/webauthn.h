/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef CAIRN_WEBAUTHN_WEBAUTHN_H
#define CAIRN_WEBAUTHN_WEBAUTHN_H

#include "base/hash.h"
#include "webauthn/cose.h"

/*
 * Passkeys: Web Authentication level 2, what a relying party has to check (sections 7.1 and 7.2). Attestation is not
 * asked for, and only the format "none" is taken: which make of device somebody uses is not the hub's business.
 * All is hostile input; nothing is allocated that outlives a call, and views point into what was given.
 */
#define WEBAUTHN_CREDENTIAL_MOST 1023 /* bytes of a credential id (section 6.5.1) */
#define WEBAUTHN_KEY_MOST 600

/* What the hub asked for, to compare with. */
struct webauthn_expected {
    struct str challenge; /* base64url, as it was handed out */
    struct str origin;    /* "https://hub.example.org" */
    struct str rp_id;     /* "hub.example.org" */
};

struct webauthn_credential {
    struct str id;
    struct str public_key; /* COSE; cose_key_read() takes it */
    uint32_t sign_count;
};

/* A new credential, out of the attestation response. The person was there and verified (PIN, fingerprint); else INVALID. */
enum status webauthn_register(const struct webauthn_expected *expected, struct str client_data,
                              struct str attestation_object, struct webauthn_credential *out, struct error *err);

struct webauthn_assertion {
    struct str client_data, authenticator_data, signature;
};
/*
 * UNAUTHENTICATED when the assertion is not by known's key, for what was expected, with the person verified; also when
 * the count of signatures has not grown, as that of a copy of the device would not. sign_count is the new one.
 */
enum status webauthn_assert(const struct webauthn_expected *expected, const struct webauthn_assertion *given,
                            const struct webauthn_credential *known, uint32_t *sign_count, struct error *err);

/* The challenge that client data answers, before it is known to be one of ours: base64url, into room for size bytes. */
bool webauthn_challenge(struct str client_data, char *out, size_t size);

#endif
