/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef CAIRN_PROV_PRIVATE_H
#define CAIRN_PROV_PRIVATE_H

#include "prov/leaf.h"

/*
 * What the log must not say of people, and how it can be forgotten (provenance 3.4). Each account has a key of 32
 * random bytes, in a database of its own that is in no backup of the main one. Its pseudonym in a repo and its
 * commitments are derived from that key: without it the one cannot be linked to the person, nor the others be opened,
 * while the leaves stay as they are. The hub has a key too, as account 0, for what nobody in particular did.
 */
#define PERSON_KEY_SIZE 32

struct persons;
enum status persons_open(const char *path, struct persons **out, struct error *err);
void persons_close(struct persons *persons);

struct person {
    int64_t account_id; /* given */
    uint8_t key[PERSON_KEY_SIZE];
};
/* Fills in the keys. Those that are missing are made, and are durable when this returns. Clear them when they are used.
 */
enum status persons_keys(struct persons *persons, struct person *people, size_t count, struct error *err);

/*
 * Destroys an account's key, in the files too. UNAVAILABLE when copies may be left on the disk: the key is gone for
 * this program then, and the call can be made again. INVALID for account 0. What the account does later is by a new
 * key.
 */
enum status persons_erase(struct persons *persons, int64_t account_id, struct error *err);

/* The pseudonym of the person in the repo of that log id; that for what concerns no repo has an id of zeros. */
void person_pseudonym(const uint8_t key[PERSON_KEY_SIZE], const uint8_t repo[LEAF_REPO_SIZE],
                      uint8_t out[LEAF_ACTOR_SIZE]);

/* Where a commitment stands. For leaves of the hub: zeros. */
struct commitment_place {
    const uint8_t *repo; /* LEAF_REPO_SIZE bytes */
    uint64_t rseq;
    const char *field;
};

/* The secret of one commitment; it opens no other. */
void commitment_secret(const uint8_t key[PERSON_KEY_SIZE], const struct commitment_place *place,
                       uint8_t out[SHA256_SIZE]);
void commitment_make(const uint8_t secret[SHA256_SIZE], const struct commitment_place *place, struct str value,
                     uint8_t out[SHA256_SIZE]);
/* For whoever was shown an opening, which is the secret and the value. */
bool commitment_opens(const uint8_t commitment[SHA256_SIZE], const uint8_t secret[SHA256_SIZE],
                      const struct commitment_place *place, struct str value);

/*
 * The secret that opens a commitment to value that was made with this account's key. NOT_FOUND when the key was
 * destroyed, or the commitment is to something else.
 */
enum status persons_opening(struct persons *persons, int64_t account_id, const struct commitment_place *place,
                            struct str value, const uint8_t commitment[SHA256_SIZE], uint8_t secret[SHA256_SIZE],
                            struct error *err);

#endif
