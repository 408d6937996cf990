/* SPDX-License-Identifier: LGPL-3.0-or-later */
#ifndef CAIRN_LEAF_COMMITMENT_H
#define CAIRN_LEAF_COMMITMENT_H

#include "leaf/leaf.h"

/*
 * What the log says of people: pseudonyms, and commitments to names (provenance 3.4). Both are derived from a key of
 * the person. Without it the one cannot be linked to the person, nor the others be opened, while the leaves stay as
 * they are.
 */
#define PERSON_KEY_SIZE 32

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

#endif
