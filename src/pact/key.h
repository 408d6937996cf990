/* SPDX-License-Identifier: LGPL-3.0-or-later */
#ifndef CAIRN_PACT_KEY_H
#define CAIRN_PACT_KEY_H

#include "base/arena.h"
#include "base/error.h"
#include "base/hash.h"

/* What houses and participants sign with: Ed25519 (RFC 8032), as raw bytes. */
#define PACT_KEY_SIZE 32
#define PACT_SIGNATURE_SIZE 64

struct pact_key {
    uint8_t seed[PACT_KEY_SIZE], public_key[PACT_KEY_SIZE];
};
void pact_key_make(struct pact_key *key, const uint8_t seed[PACT_KEY_SIZE]);
void pact_sign(const struct pact_key *key, struct str message, uint8_t out[PACT_SIGNATURE_SIZE]);
bool pact_signed(const uint8_t key[PACT_KEY_SIZE], struct str message, const uint8_t signature[PACT_SIGNATURE_SIZE]);

/*
 * A house's own keys, in a file that only its operator may read: the one it signs with, which stays, and those that shares are sealed to,
 * each with an end. Before the newest ends another is made; old ones stay a while, for rounds that were begun with them.
 */
#define IDENTITY_SEALS_MOST 8
struct identity_seal {
    uint8_t private_key[32], public_key[32];
    int64_t until_us;
};
struct identity {
    struct pact_key sign;
    struct identity_seal seals[IDENTITY_SEALS_MOST]; /* the newest first */
    size_t count;
    struct identity *before; /* of identity_renew(): what it was, which others may be using */
};
/* Reads the file, or makes it. CORRUPT when it holds something else. */
enum status identity_open(const char *path, int64_t now_us, struct identity *out, struct error *err);
/*
 * For a program that runs on, before a round begins: opens the file when *keys is NULL, and puts other keys in its place when the newest comes to
 * its end. What *keys was stays until identity_end(), so that other threads may go on with it.
 */
enum status identity_renew(const char *path, int64_t now_us, struct identity *_Atomic *keys, struct error *err);
void identity_end(struct identity *_Atomic *keys);
/* NULL when it has no such key, or no longer. */
const struct identity_seal *identity_seal(const struct identity *identity, const uint8_t public_key[32]);
void identity_clear(struct identity *identity);

/* What people compare: the first 16 hex digits of the key's SHA-256, in fours. */
#define KEY_ID_SIZE 20
void key_id(const uint8_t key[PACT_KEY_SIZE], char out[KEY_ID_SIZE]);

#endif
