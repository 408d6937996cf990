/* SPDX-License-Identifier: LGPL-3.0-or-later */
#include "robust/optimiser.h"
#include <math.h>
#include <string.h>

static const struct {
    const char *name;
    struct optimiser optimiser;
} known[] = {
    {"fedavg", {.kind = OPTIMISER_FEDAVG, .rate = 1}},
    {"fedavgm", {.kind = OPTIMISER_FEDAVGM, .rate = 1, .beta1 = 0.9}},
    {"fedadagrad", {.kind = OPTIMISER_FEDADAGRAD, .rate = 0.1, .tau = 1e-3}},
    {"fedadam", {.kind = OPTIMISER_FEDADAM, .rate = 0.1, .beta1 = 0.9, .beta2 = 0.99, .tau = 1e-3}},
    {"fedyogi", {.kind = OPTIMISER_FEDYOGI, .rate = 0.01, .beta1 = 0.9, .beta2 = 0.99, .tau = 1e-3}},
};

bool optimiser_find(const char *name, struct optimiser *out)
{
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (strcmp(name, known[i].name) == 0) {
            *out = known[i].optimiser;
            return true;
        }
    return false;
}

bool optimiser_keeps_moments(const struct optimiser *optimiser)
{
    return optimiser->kind != OPTIMISER_FEDAVG;
}

double optimiser_first_moment(const struct optimiser *optimiser)
{
    return optimiser->flower ? 0 : optimiser->tau * optimiser->tau;
}

/* Of FedAdam in Flower, whose exponent is one more than the round. */
static double corrected_rate(const struct optimiser *o, int64_t round)
{
    if (!o->flower || o->kind != OPTIMISER_FEDADAM)
        return o->rate;
    double power = (double)round + 1;
    return o->rate * sqrt(1 - pow(o->beta2, power)) / (1 - pow(o->beta1, power));
}

static inline double second_moment(const struct optimiser *o, double v, double change)
{
    double square = change * change;
    switch (o->kind) {
    case OPTIMISER_FEDADAGRAD:
        return v + square;
    case OPTIMISER_FEDADAM:
        return o->beta2 * v + (1 - o->beta2) * square;
    default:
        return v - (1 - o->beta2) * square * ((v > square) - (v < square));
    }
}

void optimiser_step(const struct optimiser *o, int64_t round, size_t count, double *restrict change, double *restrict m,
                    double *restrict v)
{
    double rate = corrected_rate(o, round);
    for (size_t i = 0; i < count; i++) {
        if (o->kind == OPTIMISER_FEDAVG) {
            change[i] *= rate;
        } else if (o->kind == OPTIMISER_FEDAVGM) {
            m[i] = o->beta1 * m[i] + change[i];
            change[i] = rate * m[i];
        } else {
            m[i] = o->beta1 * m[i] + (1 - o->beta1) * change[i];
            v[i] = second_moment(o, v[i], change[i]);
            change[i] = rate * m[i] / (sqrt(v[i]) + o->tau);
        }
    }
}
