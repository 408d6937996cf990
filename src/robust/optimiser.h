/* SPDX-License-Identifier: LGPL-3.0-or-later */
#ifndef CAIRN_ROBUST_OPTIMISER_H
#define CAIRN_ROBUST_OPTIMISER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * What a server makes of the aggregated change of a round: the step that it takes (federated 3.1). Adaptive ones keep two moments of each
 * number from round to round.
 */
enum optimiser_kind { OPTIMISER_FEDAVG, OPTIMISER_FEDAVGM, OPTIMISER_FEDADAGRAD, OPTIMISER_FEDADAM, OPTIMISER_FEDYOGI };

struct optimiser {
    enum optimiser_kind kind;
    double rate, beta1, beta2, tau;
    /* As Flower has it: second moments begin at zero rather than at tau^2, and FedAdam corrects the bias of both. Otherwise as Reddi
     * and others (2021) wrote it. */
    bool flower;
};

/* "fedadam"; the rates that Flower has by default, the rest as Reddi and others. False for another name. */
bool optimiser_find(const char *name, struct optimiser *out);
bool optimiser_keeps_moments(const struct optimiser *optimiser);
/* The second moments' first value. */
double optimiser_first_moment(const struct optimiser *optimiser);

/*
 * Turns changes into steps, in place. round counts from 1. m and v are the moments, which are moved on; both may be NULL where none are
 * kept.
 */
void optimiser_step(const struct optimiser *optimiser, int64_t round, size_t count, double *restrict change,
                    double *restrict m, double *restrict v);

#endif
