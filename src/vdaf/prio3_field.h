/* SPDX-License-Identifier: LGPL-3.0-or-later */
#ifndef CAIRN_VDAF_PRIO3_FIELD_H
#define CAIRN_VDAF_PRIO3_FIELD_H

#include "vdaf/prio3.h"

/* What prio3_body.h gives for one field; see prio3.h for what the functions do. */
struct prio3_field {
    unsigned bits;
    enum status (*make)(struct prio3 *prio3, struct error *err);
    enum status (*shard)(const struct prio3 *prio3, const uint64_t *measurement, const uint8_t *nonce,
                         const uint8_t *rand, struct buf *public_share, struct buf *shares, struct error *err);
    enum status (*verify_init)(const struct prio3 *prio3, const uint8_t *verify_key, unsigned aggregator,
                               const uint8_t *nonce, struct str public_share, struct str share,
                               struct prio3_state *state, struct buf *verifier_share, struct error *err);
    enum status (*verifier_message)(const struct prio3 *prio3, const struct str *verifier_shares, struct buf *message,
                                    struct error *err);
    enum status (*add)(const struct prio3 *prio3, uint8_t *sum, struct str out_share, struct error *err);
    enum status (*unshard)(const struct prio3 *prio3, const uint8_t *sum, uint64_t *out, struct error *err);
};
extern const struct prio3_field prio3_field64, prio3_field128;

enum prio3_usage {
    PRIO3_MEAS_SHARE = 1,
    PRIO3_PROOF_SHARE,
    PRIO3_JOINT_RANDOMNESS,
    PRIO3_PROVE_RANDOMNESS,
    PRIO3_QUERY_RANDOMNESS,
    PRIO3_JOINT_RAND_SEED,
    PRIO3_JOINT_RAND_PART,
};

void prio3_xof(const struct prio3 *prio3, struct xof *xof, const uint8_t *seed, enum prio3_usage usage);
void prio3_joint_seed(const struct prio3 *prio3, struct str parts, uint8_t seed[PRIO3_SEED_SIZE]);

#endif
