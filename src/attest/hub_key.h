/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef CAIRN_ATTEST_HUB_KEY_H
#define CAIRN_ATTEST_HUB_KEY_H

#include "module.h"
#include "oms/dsse.h"

/*
 * The hub's attestation key: by it the hub says what it has and what it saw, never what a person thinks of it. ECDSA on
 * P-256, in attest.pem of the data folder; it is made at the first start, and known to the log (a leaf of type "key"
 * with use "hub", whose digest is the key's hint) before anything is signed with it. Not the log's own key, which only
 * the signer process has.
 */
struct hub_key;

/* Reads or makes the key. db is one whose writes are logged (record_start()). CORRUPT when the file holds no such key.
 */
enum status hub_key_open(const char *dir, struct db *db, struct hub_key **out, struct error *err);
void hub_key_close(struct hub_key *key); /* nothing for NULL */

/* The public key as PEM, and its name in bundles (oms/key.h); both live as long as the key. */
struct str hub_key_pem(const struct hub_key *key);
struct str hub_key_hint(const struct hub_key *key);

/*
 * Signs a payload as the hub, on any thread; type is its media type, such as INTOTO_MEDIA_TYPE. out gets one signature,
 * whose keyid is hub_key_hint(); it lives in the arena, and its payload is the one given. dsse_write() makes it JSON.
 */
enum status hub_sign(struct hub *hub, struct arena *arena, struct str type, struct str payload,
                     struct dsse_envelope *out, struct error *err);

#endif
