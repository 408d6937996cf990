/* SPDX-License-Identifier: LGPL-3.0-or-later */
/*
 * PINE's second circuit (a template file: see vdaf/fe.h): all bits are bits, the squared norm v is within the bound, and enough
 * wraparound tests pass, each of which has g = 1 only when its result is what its bits say. Its input is short: the bits, then the
 * tests' results, which nobody sends. Joint randomness: r1 for the bits, r2 for the tests, r3 for the sum of all.
 */
#ifndef CAIRN_PINE_VALIDITY_H
#define CAIRN_PINE_VALIDITY_H

#include "pine/field.h"
#include "vdaf/flp.h"

#define VALIDITY_JOINT 3

static inline fe bits_decode(const fe *bits, unsigned count)
{
    fe sum = 0, weight = 1;
    for (unsigned i = 0; i < count; i++, weight = fe_add(weight, weight))
        sum = fe_add(sum, fe_mul(bits[i], weight));
    return sum;
}

static inline void bits_encode(fe *bits, uint64_t n, unsigned count)
{
    for (unsigned i = 0; i < count; i++)
        bits[i] = (fe)(n >> i & 1);
}

/* Pairs of factors, gathered until the gadget's inputs are full. */
struct pairs {
    struct flp_run *run;
    fe *in, sum;
    size_t filled;
};

static inline void pairs_flush(struct pairs *p)
{
    size_t arity = p->run->gadget->arity;
    if (!p->filled)
        return;
    memset(p->in + p->filled, 0, (arity - p->filled) * sizeof(fe));
    p->sum = fe_add(p->sum, flp_call(p->run, p->in));
    p->filled = 0;
}

static inline void pairs_add(struct pairs *p, fe a, fe b)
{
    p->in[p->filled++] = a;
    p->in[p->filled++] = b;
    if (p->filled == p->run->gadget->arity)
        pairs_flush(p);
}

static inline fe bits_check(const struct pine *pine, struct flp_run *run, fe *in, const fe *bits, fe r, fe share)
{
    struct pairs pairs = {.run = run, .in = in};
    fe power = 1;
    for (size_t i = 0; i < pine->bits; i++, power = fe_mul(power, r))
        pairs_add(&pairs, fe_mul(power, bits[i]), fe_sub(bits[i], share));
    pairs_flush(&pairs);
    return pairs.sum;
}

/* The sum of g (result - what the bits say), and the number of successes less the expected one. */
static inline fe tests_check(const struct pine *pine, struct flp_run *run, fe *in, const fe *bits, fe r, fe share,
                             fe *count)
{
    const struct pine_config *c = &pine->config;
    struct pairs pairs = {.run = run, .in = in};
    const fe *at = bits + 2 * pine->norm_bits, *results = bits + pine->bits;
    fe power = 1, low = fe_mul(fe_of(pine->check_bound - 1), share);
    *count = fe_neg(fe_mul(fe_of(c->successes), share));
    for (unsigned k = 0; k < c->checks; k++, at += pine->check_bits + 1, power = fe_mul(power, r)) {
        fe said = fe_sub(bits_decode(at, pine->check_bits), low), g = at[pine->check_bits];
        pairs_add(&pairs, fe_mul(power, fe_sub(results[k], said)), g);
        *count = fe_add(*count, g);
    }
    pairs_flush(&pairs);
    return pairs.sum;
}

static inline void validity_eval(const void *circuit, struct flp_run *run, const fe *meas, const fe *joint, fe share,
                                 fe *out)
{
    const struct pine *pine = circuit;
    size_t arity = run->gadget->arity;
    fe *in = fe_room(arity), r = joint[2], square = fe_mul(r, r), count, bound;
    fe sum = bits_check(pine, run, in, meas, joint[0], share);
    bound = fe_mul(fe_of(pine->config.norm_bound), fe_of(pine->config.norm_bound));
    fe norm = fe_add(bits_decode(meas, pine->norm_bits), bits_decode(meas + pine->norm_bits, pine->norm_bits));
    fe tests = tests_check(pine, run, in, meas, joint[1], share, &count);
    sum = fe_add(sum, fe_mul(r, fe_sub(norm, fe_mul(bound, share))));
    sum = fe_add(sum, fe_mul(square, tests));
    out[0] = fe_add(sum, fe_mul(fe_mul(square, r), count));
    fe_free(in, arity);
}

static inline struct flp validity_flp(const struct pine *pine)
{
    size_t chunk = pine->config.chunk;
    return (struct flp){
        .gadget = {.kind = GADGET_PRODUCTS,
                   .arity = 2 * chunk,
                   .calls = (pine->bits + chunk - 1) / chunk + (pine->config.checks + chunk - 1) / chunk,
                   .degree = 2},
        .form = FLP_COEFFICIENTS,
        .meas_len = pine->bits + pine->config.checks,
        .joint_len = VALIDITY_JOINT,
        .outputs = 1,
        .eval = validity_eval,
        .circuit = pine,
    };
}

#endif
