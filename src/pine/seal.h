/* SPDX-License-Identifier: LGPL-3.0-or-later */
#ifndef CAIRN_PINE_SEAL_H
#define CAIRN_PINE_SEAL_H

#include "base/buf.h"
#include "hpke/hpke.h"
#include "pine/pine.h"

/*
 * An input share on its way to a house (federated.md 2.3): enc (32 bytes), then the share in chunks of 1 MiB, each sealed by HPKE
 * as message 0, 1, … of one context, so that a share of any size is sealed, uploaded in pieces and read without being held. The aad
 * of a chunk is the caller's aad, then 1 for the last chunk and 0 for others: a share that is cut off does not open. The last chunk may be
 * shorter; only an empty share has an empty one.
 *
 * info and aad say what the share is for: the round's ctx; the report's id (its nonce) and the client's key id.
 */
#define SEAL_CHUNK ((size_t)1 << 20)

uint64_t seal_size(uint64_t plain); /* of the sealed share */

struct seal {
    struct hpke hpke;
    struct str aad;
    struct buf chunk, sealed;
    uint64_t number;
    struct pine_sink out;
};
#define auto_seal __attribute__((cleanup(seal_end)))

/* Writes enc to out. aad must outlive it. */
enum status seal_begin(struct seal *seal, const uint8_t recipient[HPKE_KEY_SIZE], struct str info, struct str aad,
                       struct pine_sink out, struct error *err);
struct pine_sink seal_sink(struct seal *seal);                 /* what is written here is sealed into out */
enum status seal_finish(struct seal *seal, struct error *err); /* the last chunk; nothing may be written after it */
void seal_end(struct seal *seal);

/* Reads a sealed share in any order, chunk by chunk; the last chunk that was opened is kept. */
struct unseal {
    struct hpke hpke;
    struct str aad;
    struct pine_source in;
    uint64_t plain, kept; /* bytes of the share; the number of the kept chunk plus one */
    struct buf chunk, sealed;
};
#define auto_unseal __attribute__((cleanup(unseal_end)))

/* sealed is the size of what in holds; its share has unseal.plain bytes. INVALID when no share has that size. aad must outlive it. */
enum status unseal_begin(struct unseal *unseal, const uint8_t private_key[HPKE_KEY_SIZE], struct str info,
                         struct str aad, struct pine_source in, uint64_t sealed, struct error *err);
struct pine_source unseal_source(struct unseal *unseal); /* FORBIDDEN "SealBroken" where a chunk does not open */
void unseal_end(struct unseal *unseal);

#endif
