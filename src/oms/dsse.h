/* SPDX-License-Identifier: LGPL-3.0-or-later */
#ifndef CAIRN_OMS_DSSE_H
#define CAIRN_OMS_DSSE_H

#include "base/json.h"
#include "oms/key.h"

/*
 * DSSE envelopes: bytes, the name of their type, and signatures over both (provenance 2.1). The bytes are signed as
 * they are, so they are never written anew before they are verified; and nobody reads them before that.
 */
#define DSSE_MOST (32 * 1024 * 1024) /* bytes of an envelope as JSON */
#define DSSE_TYPE_MOST 256
#define DSSE_SIGNATURES_MOST 16
#define DSSE_SIGNATURE_MOST 1024 /* bytes; those of P-521 have 139 at most */

struct dsse_signature {
    struct str sig;   /* raw: DER for ECDSA, 64 bytes for Ed25519 */
    struct str keyid; /* as it was written, worth nothing; absent where it was absent or null */
};

struct dsse_envelope {
    struct str type, payload; /* the payload is decoded */
    struct dsse_signature *signatures;
    size_t count; /* 1 to DSSE_SIGNATURES_MOST */
};

/* Appends the bytes that are signed. A person who signs elsewhere signs these. */
void dsse_pae(struct str type, struct str payload, struct buf *out);

/*
 * Reads an envelope; nothing is verified. INVALID for members that do not belong there, base64 that is not exact, or no
 * signature; TOO_LARGE over the limits above. *out lives in the arena. dsse_read_json() is for one inside another text.
 */
enum status dsse_read(struct arena *arena, struct str text, struct dsse_envelope *out, struct error *err);
enum status dsse_read_json(struct arena *arena, const json_t *value, struct dsse_envelope *out, struct error *err);

void dsse_write(struct arena *arena, const struct dsse_envelope *envelope, struct json_writer *json);

/* Signs with a private key that oms_key_check() accepts; *sig lives in the arena. INTERNAL when OpenSSL refuses. */
enum status dsse_sign(struct arena *arena, struct str type, struct str payload, EVP_PKEY *key, struct str *sig,
                      struct error *err);

/* UNPROCESSABLE unless one of the envelope's signatures is by that key, which oms_key_check() accepts. */
enum status dsse_verify(const struct dsse_envelope *envelope, EVP_PKEY *key, struct error *err);

#endif
