/* SPDX-License-Identifier: LGPL-3.0-or-later */
/* Prio3's circuits: how measurements are encoded, and what makes them valid (a template file: see fe.h). */
#ifndef CAIRN_VDAF_PRIO3_CIRCUIT_H
#define CAIRN_VDAF_PRIO3_CIRCUIT_H

#include "vdaf/flp.h"
#include "vdaf/prio3_field.h"

/* A number up to max is a weighted sum of bits whose last weight is such that no other numbers can be said. */
static inline uint64_t last_weight(const struct prio3 *p)
{
    return p->config.max - (((uint64_t)1 << (p->bits - 1)) - 1);
}

static void number_encode(const struct prio3 *p, uint64_t n, fe *bits)
{
    uint64_t rest = ((uint64_t)1 << (p->bits - 1)) - 1, last = 0 - (uint64_t)(n > rest);
    n -= last_weight(p) & last;
    for (unsigned i = 0; i + 1 < p->bits; i++)
        bits[i] = (fe)(n >> i & 1);
    bits[p->bits - 1] = (fe)(last & 1);
}

static fe number_decode(const struct prio3 *p, const fe *bits)
{
    fe sum = fe_mul(fe_of(last_weight(p)), bits[p->bits - 1]), weight = 1;
    for (unsigned i = 0; i + 1 < p->bits; i++, weight = fe_add(weight, weight))
        sum = fe_add(sum, fe_mul(bits[i], weight));
    return sum;
}

static enum status measurement_encode(const struct prio3 *p, const uint64_t *values, fe *meas, struct error *err)
{
    const struct prio3_config *c = &p->config;
    uint64_t most = c->kind == PRIO3_COUNT           ? 1
                    : c->kind == PRIO3_HIGHER_DEGREE ? 2
                    : c->kind == PRIO3_HISTOGRAM     ? c->length - 1
                    : c->kind == PRIO3_MULTIHOT      ? 1
                                                     : c->max;
    uint64_t sum = 0;
    bool bad = false;
    for (size_t i = 0; i < p->values; i++) {
        bad |= values[i] > most;
        sum += values[i] & 1;
    }
    if (bad || (c->kind == PRIO3_MULTIHOT && sum > c->max))
        return fail(err, INVALID, NULL, "The measurement is out of range.");
    switch (c->kind) {
    case PRIO3_COUNT:
    case PRIO3_HIGHER_DEGREE:
        meas[0] = (fe)values[0];
        break;
    case PRIO3_SUM:
    case PRIO3_SUM_VEC:
        for (size_t i = 0; i < p->values; i++)
            number_encode(p, values[i], meas + i * p->bits);
        break;
    case PRIO3_HISTOGRAM:
        for (size_t i = 0; i < c->length; i++)
            meas[i] = (fe)(values[0] == i);
        break;
    case PRIO3_MULTIHOT:
        for (size_t i = 0; i < c->length; i++)
            meas[i] = (fe)values[i];
        number_encode(p, sum, meas + c->length);
        break;
    }
    return OK;
}

/* What is summed: out gets p->sums elements. */
static void measurement_truncate(const struct prio3 *p, const fe *meas, fe *out)
{
    bool numbers = p->config.kind == PRIO3_SUM || p->config.kind == PRIO3_SUM_VEC;
    for (size_t i = 0; i < p->sums; i++)
        out[i] = numbers ? number_decode(p, meas + i * p->bits) : meas[i];
}

static void count_eval(const void *circuit, struct flp_run *run, const fe *meas, const fe *joint, fe share, fe *out)
{
    (void)circuit, (void)joint, (void)share;
    fe in[2] = {meas[0], meas[0]};
    out[0] = fe_sub(flp_call(run, in), meas[0]);
}

/* Each element through the gadget, whose value must be 0. */
static void each_eval(const void *circuit, struct flp_run *run, const fe *meas, const fe *joint, fe share, fe *out)
{
    (void)joint, (void)share;
    const struct prio3 *p = circuit;
    for (size_t i = 0; i < p->meas_len; i++)
        out[i] = flp_call(run, meas + i);
}

/* The sum of r^j b (b - 1), with another r for each call, and j from 1. */
static fe bits_eval(const struct prio3 *p, struct flp_run *run, const fe *meas, const fe *joint, fe share)
{
    size_t chunk = p->config.chunk;
    fe *in = fe_room(2 * chunk), sum = 0;
    for (size_t call = 0; call < p->joint_len; call++) {
        fe power = joint[call];
        for (size_t j = 0, i = call * chunk; j < chunk; j++, i++, power = fe_mul(power, joint[call])) {
            fe bit = i < p->meas_len ? meas[i] : 0;
            in[2 * j] = fe_mul(power, bit);
            in[2 * j + 1] = fe_sub(bit, share);
        }
        sum = fe_add(sum, flp_call(run, in));
    }
    fe_free(in, 2 * chunk);
    return sum;
}

static void vector_eval(const void *circuit, struct flp_run *run, const fe *meas, const fe *joint, fe share, fe *out)
{
    const struct prio3 *p = circuit;
    fe sum = 0;
    out[0] = bits_eval(p, run, meas, joint, share);
    if (p->config.kind == PRIO3_SUM_VEC)
        return;
    for (size_t i = 0; i < p->config.length; i++)
        sum = fe_add(sum, meas[i]);
    out[1] = fe_sub(sum, p->config.kind == PRIO3_HISTOGRAM ? share : number_decode(p, meas + p->config.length));
}

static struct flp prio3_flp(const struct prio3 *p)
{
    struct flp flp = {
        .form = FLP_VALUES, .meas_len = p->meas_len, .joint_len = p->joint_len, .outputs = 1, .circuit = p};
    switch (p->config.kind) {
    case PRIO3_COUNT:
        flp.gadget = (struct gadget){.kind = GADGET_PRODUCTS, .arity = 2, .calls = 1, .degree = 2};
        flp.eval = count_eval;
        break;
    case PRIO3_SUM:
        flp.gadget =
            (struct gadget){.kind = GADGET_POLY, .arity = 1, .calls = p->bits, .degree = 2, .poly = {0, -1, 1}};
        flp.eval = each_eval;
        flp.outputs = p->bits;
        break;
    case PRIO3_HIGHER_DEGREE:
        flp.gadget = (struct gadget){.kind = GADGET_POLY, .arity = 1, .calls = 1, .degree = 3, .poly = {0, 2, -3, 1}};
        flp.eval = each_eval;
        break;
    case PRIO3_SUM_VEC:
    case PRIO3_HISTOGRAM:
    case PRIO3_MULTIHOT:
        flp.gadget =
            (struct gadget){.kind = GADGET_PRODUCTS, .arity = 2 * p->config.chunk, .calls = p->joint_len, .degree = 2};
        flp.eval = vector_eval;
        flp.outputs = p->config.kind == PRIO3_SUM_VEC ? 1 : 2;
        break;
    }
    return flp;
}

#endif
