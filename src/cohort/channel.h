/* SPDX-License-Identifier: LGPL-3.0-or-later */
#ifndef CAIRN_COHORT_CHANNEL_H
#define CAIRN_COHORT_CHANNEL_H

#include "cohort/cohort.h"

/*
 * What a member tells a neighbour through the hub: one message of COHORT_SHARES_SIZE bytes in each direction of an attempt, under a key
 * that only the two have, bound to the roster and to who says it to whom (AES-256-GCM). channel: the own private key.
 */
enum status channel_seal(const uint8_t channel[HPKE_KEY_SIZE], const struct cohort_member *self,
                         const struct cohort_member *peer, const uint8_t context[COHORT_CONTEXT_SIZE],
                         const uint8_t plain[COHORT_SHARES_SIZE], uint8_t sealed[COHORT_SEALED_SIZE],
                         struct error *err);
/* FORBIDDEN "SealBroken" unless the peer has sealed it so. */
enum status channel_open(const uint8_t channel[HPKE_KEY_SIZE], const struct cohort_member *self,
                         const struct cohort_member *peer, const uint8_t context[COHORT_CONTEXT_SIZE],
                         const uint8_t sealed[COHORT_SEALED_SIZE], uint8_t plain[COHORT_SHARES_SIZE],
                         struct error *err);

#endif
