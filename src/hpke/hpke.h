/* SPDX-License-Identifier: LGPL-3.0-or-later */
#ifndef CAIRN_HPKE_HPKE_H
#define CAIRN_HPKE_HPKE_H

#include "base/error.h"
#include "base/str.h"

/*
 * Hybrid public key encryption (RFC 9180) in base mode, one suite: DHKEM(X25519, HKDF-SHA256), HKDF-SHA256, AES-128-GCM. It is
 * built on OpenSSL's primitives because Debian 12's OpenSSL 3.0 has no HPKE of its own. Who holds the recipient's private key can
 * open; nobody learns from it who sealed.
 */
#define HPKE_KEY_SIZE 32
#define HPKE_TAG_SIZE 16 /* a sealed text is this much longer */

void hpke_key_make(uint8_t private_key[HPKE_KEY_SIZE], uint8_t public_key[HPKE_KEY_SIZE]);
void hpke_key_public(const uint8_t private_key[HPKE_KEY_SIZE], uint8_t public_key[HPKE_KEY_SIZE]);

/* One direction of messages, numbered from 0. Wipe it with hpke_end(). */
struct hpke {
    uint8_t key[16], nonce[12], exporter[32];
    void *cipher; /* EVP_CIPHER_CTX */
};
#define auto_hpke __attribute__((cleanup(hpke_end)))

/* The sender makes enc, which the recipient needs. INVALID when a key is a point of small order. hpke is to be ended only on OK,
 * but ending it is harmless otherwise. */
enum status hpke_sender(struct hpke *hpke, const uint8_t recipient[HPKE_KEY_SIZE], struct str info,
                        uint8_t enc[HPKE_KEY_SIZE], struct error *err);
enum status hpke_recipient(struct hpke *hpke, const uint8_t private_key[HPKE_KEY_SIZE],
                           const uint8_t enc[HPKE_KEY_SIZE], struct str info, struct error *err);
/* For tests: with an ephemeral key that is given. */
enum status hpke_sender_with(struct hpke *hpke, const uint8_t recipient[HPKE_KEY_SIZE], struct str info,
                             const uint8_t ephemeral[HPKE_KEY_SIZE], uint8_t enc[HPKE_KEY_SIZE], struct error *err);

/* Message number: never seal two under one number. out gets plain.len + HPKE_TAG_SIZE bytes; each message is below 2^31 bytes. */
void hpke_seal(struct hpke *hpke, uint64_t number, struct str aad, struct str plain, uint8_t *out);
/* out gets sealed.len - HPKE_TAG_SIZE bytes. FORBIDDEN "SealBroken", and zeros in out, unless number, aad and text are what was
 * sealed to this key and info. */
enum status hpke_open(struct hpke *hpke, uint64_t number, struct str aad, struct str sealed, uint8_t *out,
                      struct error *err);
void hpke_export(const struct hpke *hpke, struct str context, uint8_t *out, size_t len); /* len at most 255 * 32 */
void hpke_end(struct hpke *hpke);

/* HKDF-SHA256 (RFC 5869): extract and expand; len at most 255 * 32. */
void hkdf_sha256(struct str secret, struct str salt, struct str info, uint8_t *out, size_t len);
/* X25519 (RFC 7748); INVALID when the result would be all zero. */
enum status x25519(const uint8_t private_key[HPKE_KEY_SIZE], const uint8_t public_key[HPKE_KEY_SIZE],
                   uint8_t shared[HPKE_KEY_SIZE], struct error *err);

#endif
