/* SPDX-License-Identifier: LGPL-3.0-or-later */
#ifndef CAIRN_COHORT_CLIENT_H
#define CAIRN_COHORT_CLIENT_H

#include "base/buf.h"
#include "cohort/cohort.h"

/*
 * A member in one attempt, who trusts the hub with nothing but that it carries messages. Each function takes what the hub says and gives
 * what goes back, and can be called once, in this order; at another time it is CONFLICT and changes nothing. What the hub must not say is
 * FORBIDDEN or INVALID, with the reason, and is the end of this attempt: the secrets are gone, and no later call gives anything. A message
 * that is lost on its way is sent again as it was, not made again.
 *
 * The secrets are in memory alone. After a restart the attempt is lost, which no hub can use: shares cannot be opened any more.
 */
struct cohort_client;

/*
 * What a member must not forget, whatever happens to its memory or its machine: each of count pairs (key, value), 32 bytes each, one after
 * the other in `pairs`, is remembered durably before it returns OK. CONFLICT when another value is remembered for one of the keys. It is asked
 * for the identities of the others ("peer"), the list of survivors that was signed ("list"), and the attempt of a round that was helped to
 * its sum ("round"). What is remembered is of one run.
 */
struct cohort_memory {
    enum status (*remember)(void *context, const char *what, const uint8_t *pairs, size_t count, struct error *err);
    void *context;
};
#define COHORT_PAIR_SIZE 64

/* round's strings must outlive it. identity: the seed of an Ed25519 key. */
struct cohort_client *cohort_client_new(const struct cohort_round *round, const uint8_t name[COHORT_NAME_SIZE],
                                        const uint8_t identity[32], struct cohort_memory memory);
void cohort_client_free(struct cohort_client *client); /* wipes it; NULL is fine */
#define auto_cohort_client __attribute__((cleanup(cohort_client_cleanup)))
void cohort_client_cleanup(struct cohort_client **client);

/* keys: its own, to be shown to all. */
enum status cohort_client_keys(struct cohort_client *client, struct cohort_member *out, struct error *err);

/*
 * deal: all members, and the hub's number of the draw. out is appended to: a commitment, and a sealed pair of shares for each neighbour, in
 * their order.
 */
enum status cohort_client_deal(struct cohort_client *client, struct str roster, struct str nonce, struct buf *out,
                               struct error *err);

/*
 * mask: for each neighbour in order a byte, 1 when it has dealt, and what it has sealed for this member (otherwise zeros). values: as many
 * numbers as the round's width, each at most COHORT_VALUES above or below 0. out is appended to: the masked vector (mask_pack).
 */
enum status cohort_client_mask(struct cohort_client *client, struct str dealt, const int32_t *values, struct buf *out,
                               struct error *err);

/* sign: the list of those of its cohort whose vectors have come. */
enum status cohort_client_sign(struct cohort_client *client, struct str survivors, uint8_t out[COHORT_SIGNATURE_SIZE],
                               struct error *err);

/*
 * unmask: for each neighbour in order a byte, 1 when it has signed, and its signature of that list. CONFLICT when another attempt at the same
 * round has got shares before: two sums with and without a member would give that member away. out is appended to: for each neighbour
 * in order a byte that says which share follows, COHORT_OWN_MASK of a survivor, COHORT_MASK_KEY of one who has dealt and fallen away,
 * COHORT_NEITHER (and zeros) of one who has not dealt, or dealt badly.
 */
enum cohort_share { COHORT_NEITHER, COHORT_OWN_MASK, COHORT_MASK_KEY };
enum status cohort_client_unmask(struct cohort_client *client, struct str signatures, struct buf *out,
                                 struct error *err);

#endif
