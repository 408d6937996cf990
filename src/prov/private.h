/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef CAIRN_PROV_PRIVATE_H
#define CAIRN_PROV_PRIVATE_H

#include "leaf/commitment.h"

/*
 * The keys of people, and how they can be forgotten (provenance 3.4). Each account has a key of 32 random bytes, in a
 * database of its own that is in no backup of the main one. The hub has a key too, as account 0, for what nobody in
 * particular did.
 */

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

/* Destroys the keys of these accounts where there are any. Should readers be in the way, copies may be left in the files until the
 * next time. */
enum status persons_prune(struct persons *persons, const int64_t *account_ids, size_t count, struct error *err);
/* A copy of the keys into a new file, as db_backup(). */
enum status persons_backup(struct persons *persons, const char *path, struct error *err);

/*
 * The secret that opens a commitment to value that was made with this account's key. NOT_FOUND when the key was
 * destroyed, or the commitment is to something else.
 */
enum status persons_opening(struct persons *persons, int64_t account_id, const struct commitment_place *place,
                            struct str value, const uint8_t commitment[SHA256_SIZE], uint8_t secret[SHA256_SIZE],
                            struct error *err);

#endif
