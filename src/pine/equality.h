/* SPDX-License-Identifier: LGPL-3.0-or-later */
/*
 * PINE's proof that v is the squared norm of x, made and queried without ever holding all wires (a template file: see
 * vdaf/fe.h). The circuit calls a gadget that sums the squares of L inputs on one stretch of x after the other; so wire j has at
 * w^k, k > 0, the value x[(k-1) L + j], and at 1 a random seed.
 */
#ifndef CAIRN_PINE_EQUALITY_H
#define CAIRN_PINE_EQUALITY_H

#include "pine/field.h"
#include "vdaf/flp.h"

#define LANES (64 / sizeof(fe)) /* wires that are transformed side by side: a cache line of each point */

static inline struct gadget equality_gadget(const struct pine *pine)
{
    size_t arity = pine->config.chunk_norm_equality;
    return (struct gadget){.kind = GADGET_POLY,
                           .arity = arity,
                           .calls = (pine->config.dimension + arity - 1) / arity,
                           .degree = 2,
                           .poly = {0, 0, 1}};
}

struct equality_prover {
    const struct pine *pine;
    const int32_t *x;
    struct gadget g;
    size_t points;
    unsigned proofs;
    const fe *seeds;          /* of all proofs, one after the other: arity each */
    fe *forth, *back, *twist; /* roots of unity, their inverses, and what moves values to the odd points */
    fe *even, *odd;           /* sums of the squares of all wires, seeds taken as zero, at even and odd points */
    fe *cross;                /* by proof: the sum of seed times wire at odd points */
    fe *wires;                /* LANES of them */
};

static inline void wires_load(struct equality_prover *e, size_t first)
{
    size_t lanes = e->g.arity - first < LANES ? e->g.arity - first : LANES, d = e->pine->config.dimension;
    memset(e->wires, 0, e->points * LANES * sizeof(fe));
    for (size_t k = 1; k <= e->g.calls; k++)
        for (size_t lane = 0, i = (k - 1) * e->g.arity + first; lane < lanes && i < d; lane++, i++)
            e->wires[k * LANES + lane] = fe_of_signed(e->x[i]);
}

static inline void squares_add(fe *sums, const fe *wires, size_t points)
{
    for (size_t k = 0; k < points; k++)
        for (size_t lane = 0; lane < LANES; lane++)
            sums[k] = fe_add(sums[k], fe_mul(wires[k * LANES + lane], wires[k * LANES + lane]));
}

static inline void wires_add(struct equality_prover *e, size_t first)
{
    size_t lanes = e->g.arity - first < LANES ? e->g.arity - first : LANES;
    wires_load(e, first);
    squares_add(e->even, e->wires, e->points);
    ntt_reversing(e->wires, e->points, LANES, e->back);
    for (size_t k = 0; k < e->points; k++)
        for (size_t lane = 0; lane < LANES; lane++)
            e->wires[k * LANES + lane] = fe_mul(e->wires[k * LANES + lane], e->twist[k]);
    ntt_restoring(e->wires, e->points, LANES, e->forth);
    squares_add(e->odd, e->wires, e->points);
    for (unsigned p = 0; p < e->proofs; p++) {
        const fe *seeds = e->seeds + p * e->g.arity + first;
        fe *cross = e->cross + p * e->points;
        for (size_t k = 0; k < e->points; k++)
            for (size_t lane = 0; lane < lanes; lane++)
                cross[k] = fe_add(cross[k], fe_mul(e->wires[k * LANES + lane], seeds[lane]));
    }
}

/* A seed s adds s l(x) to its wire, l(1) = 1 and l = 0 at the other even points; so that the square grows by
 * 2 s l wire + s^2 l^2, and further proofs cost a product a coordinate instead of two transforms. */
static inline void equality_finish(const struct equality_prover *e, unsigned p, fe *proof)
{
    size_t n = 2 * e->points;
    const fe *seeds = e->seeds + p * e->g.arity;
    fe *values = fe_room(n), squares = 0, root = fe_root(log_of(n)), step = fe_mul(root, root), at = root;
    fe factor = fe_neg(fe_mul(2, fe_inverse(fe_of(e->points)))); /* x^points - 1 = -2 at odd points */
    for (size_t j = 0; j < e->g.arity; j++)
        squares = fe_add(squares, fe_mul(seeds[j], seeds[j]));
    for (size_t k = 0; k < e->points; k++, at = fe_mul(at, step)) {
        fe l = fe_mul(factor, fe_inverse(fe_sub(at, 1)));
        fe cross = e->cross[p * e->points + k], more = fe_add(fe_add(cross, cross), fe_mul(l, squares));
        values[2 * k] = k ? e->even[k] : squares;
        values[2 * k + 1] = fe_add(e->odd[k], fe_mul(l, more));
    }
    poly_coefficients(values, n);
    memcpy(proof, seeds, e->g.arity * sizeof *proof);
    memcpy(proof + e->g.arity, values, (n - 1) * sizeof *proof);
    fe_free(values, n);
}

/* All proofs_norm_equality proofs over x, one after the other; rands likewise. */
static inline void equality_prove(const struct pine *pine, const int32_t *x, const fe *rands, fe *proofs)
{
    struct equality_prover e = {.pine = pine, .x = x, .g = equality_gadget(pine), .seeds = rands};
    e.points = gadget_points(&e.g);
    e.proofs = pine->config.proofs_norm_equality;
    size_t room = e.points / 2 * 2 + (3 + e.proofs + LANES) * e.points, len = e.g.arity + 2 * e.points - 1;
    fe *all = fe_room(room), root = fe_root(log_of(e.points)), odd = fe_root(log_of(2 * e.points)), power;
    e.forth = all;
    e.back = e.forth + e.points / 2;
    e.twist = e.back + e.points / 2;
    e.even = e.twist + e.points;
    e.odd = e.even + e.points;
    e.cross = e.odd + e.points;
    e.wires = e.cross + e.proofs * e.points;
    fe_powers(e.forth, e.points / 2, 1, root);
    fe_powers(e.back, e.points / 2, 1, fe_inverse(root));
    power = fe_inverse(fe_of(e.points));
    for (size_t k = 0; k < e.points; k++, power = fe_mul(power, odd))
        e.twist[reversed(k, log_of(e.points))] = power;
    for (size_t first = 0; first < e.g.arity; first += LANES)
        wires_add(&e, first);
    for (unsigned p = 0; p < e.proofs; p++)
        equality_finish(&e, p, proofs + p * len);
    fe_free(all, room);
}

/* The queries of all proofs, fed with x in order. Each proof has its own point and thus its own weights. */
struct equality_query {
    struct gadget g;
    size_t points, at; /* at: of the next coordinate */
    unsigned proofs;
    fe *weights, *wires; /* by proof */
};

static inline bool equality_begin(struct equality_query *q, const struct pine *pine, const fe *ts)
{
    *q = (struct equality_query){.g = equality_gadget(pine), .proofs = pine->config.proofs_norm_equality};
    q->points = gadget_points(&q->g);
    q->weights = fe_room(q->proofs * q->points);
    q->wires = fe_room(q->proofs * q->g.arity);
    bool good = true;
    for (unsigned p = 0; p < q->proofs; p++)
        good &= poly_lagrange(q->weights + p * q->points, q->points, ts[p]);
    return good;
}

static inline void equality_add(struct equality_query *q, const fe *x, size_t count)
{
    while (count) {
        size_t call = q->at / q->g.arity, wire = q->at % q->g.arity, part = q->g.arity - wire;
        if (part > count)
            part = count;
        for (unsigned p = 0; p < q->proofs; p++) {
            fe weight = q->weights[p * q->points + call + 1], *sums = q->wires + p * q->g.arity + wire;
            for (size_t j = 0; j < part; j++)
                sums[j] = fe_add(sums[j], fe_mul(x[j], weight));
        }
        q->at += part;
        x += part;
        count -= part;
    }
}

/* The verifier of proof p: norm is the share of v. */
static inline void equality_end(const struct equality_query *q, unsigned p, const fe *proof, fe t, fe norm,
                                fe *verifier)
{
    const struct flp flp = {.gadget = q->g, .form = FLP_COEFFICIENTS};
    fe *values = fe_room(q->points);
    for (size_t j = 0; j < q->g.arity; j++)
        verifier[1 + j] = fe_add(q->wires[p * q->g.arity + j], fe_mul(proof[j], q->weights[p * q->points]));
    verifier[1 + q->g.arity] = gadget_of_proof(&flp, proof + q->g.arity, t, values);
    for (size_t k = 1; k <= q->g.calls; k++)
        norm = fe_sub(norm, values[k]);
    verifier[0] = norm;
    fe_free(values, q->points);
}

static inline void equality_free(struct equality_query *q)
{
    fe_free(q->weights, q->proofs * q->points);
    fe_free(q->wires, q->proofs * q->g.arity);
}

#endif
