/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef CAIRN_OIDC_JOSE_H
#define CAIRN_OIDC_JOSE_H

#include "base/json.h"
#include <openssl/evp.h>

/*
 * JSON Web Signatures, compact (RFC 7515), with keys as JWK (RFC 7517): RS256 and ES256, and nothing else. "none" and
 * the algorithms of a shared secret are refused by name, whatever keys there are. Pure: bytes in, bytes out.
 */
#define JOSE_TOKEN_MOST (32 * 1024)
#define JOSE_KEYS_MOST (256 * 1024)

/*
 * Verifies token by one of keys, a JWK Set as JSON, and gives its payload, a JSON object to be released. A token with a
 * "kid" is looked at by the keys of that name only; one without, by each that fits its algorithm. UNAUTHENTICATED when
 * it is not signed by any; NOT_FOUND when the set has no key that fits, so that it may be worth fetching anew.
 */
enum status jose_verify(struct arena *arena, struct str token, struct str keys, json_t **payload, struct error *err);

/*
 * What a token says of itself, of which nobody knows yet whether it is so: to see whose keys to ask for, and for nothing else.
 * UNAUTHENTICATED for what jose_verify() would never take.
 */
enum status jose_peek(struct arena *arena, struct str token, json_t **payload, struct error *err);

/* Signs with ES256; key is on P-256. */
struct str jose_sign(struct arena *arena, EVP_PKEY *key, struct str kid, struct str payload);

/* The public half as JWK, with "kid" (the thumbprint of RFC 7638), "use" and "alg". */
void jose_write_key(struct json_writer *w, struct arena *arena, const EVP_PKEY *key);
struct str jose_thumbprint(struct arena *arena, const EVP_PKEY *key);

#endif
