/* SPDX-License-Identifier: LGPL-3.0-or-later */
#ifndef CAIRN_COHORT_FINDER_H
#define CAIRN_COHORT_FINDER_H

#include <stdbool.h>

/*
 * How many neighbours each member of a cohort must have when not everybody is everybody's neighbour, and how many of them must hold a
 * secret together (Bell et al. 2020, federated.md 2.5): members stand on a ring in a random order, and each is a neighbour of the
 * degree / 2 nearest on either side.
 *
 * Up to adversarial * members may work with the hub and up to dropout * members may fall away. But for a chance of 2^-40 the honest members
 * who stay are then connected, and no member has threshold neighbours who work with the hub (malicious: who together with one lie to
 * each honest one hold both of its secrets); but for a chance of 2^-20 each has threshold neighbours who stay.
 *
 * False when there is no such degree below members - 1, or the rates make no sense.
 */
struct cohort_rates {
    double adversarial, dropout;
    bool malicious; /* the hub lies about who has fallen away; otherwise it is only curious */
};
bool cohort_find(int members, struct cohort_rates rates, int *degree, int *threshold);

#endif
