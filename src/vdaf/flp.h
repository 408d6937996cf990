/* SPDX-License-Identifier: LGPL-3.0-or-later */
/*
 * The fully linear proof of BBCGGI19 as VDAF has it, for circuits with one kind of gadget (a template file: see fe.h).
 * The prover shows that every output of a circuit is zero; verifiers who hold shares of the input and of the proof learn that
 * and nothing else.
 *
 * Two forms are in use, and must not be mixed. Both send the polynomial g of the gadget's outputs: draft-11 (for PINE) its
 * coefficients, draft-20 (for Prio3) its values. Everything else is the same.
 */
#ifndef CAIRN_VDAF_FLP_H
#define CAIRN_VDAF_FLP_H

#include "vdaf/ntt.h"

enum flp_form { FLP_COEFFICIENTS, FLP_VALUES };
enum gadget_kind {
    GADGET_PRODUCTS, /* the sum of the products of pairs of inputs */
    GADGET_POLY,     /* the sum of a polynomial of each input */
};

struct gadget {
    enum gadget_kind kind;
    size_t arity, calls;
    unsigned degree;
    int poly[4]; /* its coefficients, for GADGET_POLY */
};

struct flp_run; /* one pass through a circuit */

struct flp {
    struct gadget gadget;
    enum flp_form form;
    size_t meas_len, joint_len, outputs;
    /* Writes the outputs of the circuit; calls flp_call() exactly gadget.calls times. share is 1 / the number of shares, by
     * which constants are multiplied. */
    void (*eval)(const void *circuit, struct flp_run *run, const fe *meas, const fe *joint, fe share, fe *out);
    const void *circuit;
};

struct flp_run {
    const struct gadget *gadget;
    size_t points, call;  /* of each wire; calls so far */
    fe *wires;            /* prover: arity * points values; verifier: arity values at the point of the query */
    fe *weights, *values; /* verifier: see poly_lagrange(); outputs of the gadget by call */
};

static inline size_t gadget_points(const struct gadget *g)
{
    return power_of_two(1 + g->calls);
}

static inline size_t gadget_poly_len(const struct gadget *g)
{
    return g->degree * (gadget_points(g) - 1) + 1;
}

static inline size_t flp_proof_len(const struct flp *flp)
{
    return flp->gadget.arity + gadget_poly_len(&flp->gadget);
}

static inline size_t flp_verifier_len(const struct flp *flp)
{
    return 1 + flp->gadget.arity + 1;
}

static inline size_t flp_prove_rand_len(const struct flp *flp)
{
    return flp->gadget.arity;
}

static inline size_t flp_query_rand_len(const struct flp *flp)
{
    return 1 + (flp->outputs > 1 ? flp->outputs : 0);
}

static inline fe gadget_poly_at(const struct gadget *g, fe x)
{
    fe sum = 0;
    for (unsigned i = g->degree + 1; i-- > 0;)
        sum = fe_add(fe_mul(sum, x), fe_of_signed(g->poly[i]));
    return sum;
}

static inline fe gadget_at(const struct gadget *g, const fe *in)
{
    fe sum = 0;
    if (g->kind == GADGET_PRODUCTS)
        for (size_t i = 0; i < g->arity; i += 2)
            sum = fe_add(sum, fe_mul(in[i], in[i + 1]));
    else
        for (size_t i = 0; i < g->arity; i++)
            sum = fe_add(sum, gadget_poly_at(g, in[i]));
    return sum;
}

/* One call of the gadget with gadget.arity inputs. */
static inline fe flp_call(struct flp_run *run, const fe *in)
{
    const struct gadget *g = run->gadget;
    size_t k = ++run->call;
    if (run->weights) {
        for (size_t i = 0; i < g->arity; i++)
            run->wires[i] = fe_add(run->wires[i], fe_mul(in[i], run->weights[k]));
        return run->values[k];
    }
    for (size_t i = 0; i < g->arity; i++)
        run->wires[i * run->points + k] = in[i];
    return gadget_at(g, in);
}

/* The values of g at n points from the wires' polynomials, which have few enough points for it. */
static inline void gadget_values(const struct flp_run *run, fe *out, size_t n)
{
    const struct gadget *g = run->gadget;
    fe *one = fe_room(n), *other = fe_room(n);
    size_t pair = g->kind == GADGET_PRODUCTS ? 2 : 1;
    for (size_t i = 0; i < g->arity; i += pair) {
        for (size_t j = 0; j < pair; j++) {
            fe *wire = j ? other : one;
            memcpy(wire, run->wires + (i + j) * run->points, run->points * sizeof *wire);
            poly_coefficients(wire, run->points);
            memset(wire + run->points, 0, (n - run->points) * sizeof *wire);
            poly_values(wire, n);
        }
        for (size_t k = 0; k < n; k++)
            out[k] = fe_add(out[k], pair == 2 ? fe_mul(one[k], other[k]) : gadget_poly_at(g, one[k]));
    }
    fe_free(one, n);
    fe_free(other, n);
}

/* proof gets flp_proof_len() elements. prove_rand: flp_prove_rand_len(); joint: joint_len. */
static inline void flp_prove(const struct flp *flp, const fe *meas, const fe *prove_rand, const fe *joint, fe *proof)
{
    const struct gadget *g = &flp->gadget;
    size_t points = gadget_points(g), len = gadget_poly_len(g), n = power_of_two(len);
    struct flp_run run = {.gadget = g, .points = points, .wires = fe_room(g->arity * points)};
    fe *out = fe_room(flp->outputs), *values = fe_room(n);
    for (size_t i = 0; i < g->arity; i++)
        run.wires[i * points] = proof[i] = prove_rand[i];
    flp->eval(flp->circuit, &run, meas, joint, 1, out);
    gadget_values(&run, values, n);
    if (flp->form == FLP_COEFFICIENTS)
        poly_coefficients(values, n);
    memcpy(proof + g->arity, values, len * sizeof *values);
    fe_free(run.wires, g->arity * points);
    fe_free(out, flp->outputs);
    fe_free(values, n);
}

/*
 * The n values of a polynomial of which the first len are given and whose degree is below len, as coefficients. Times z, which
 * is zero exactly where values are missing, it is known everywhere; and z divides what comes of that.
 */
static inline void poly_complete(fe *a, size_t len, size_t n)
{
    size_t missing = n - len;
    fe *z = fe_room(n + 1), *powers = fe_room(n);
    fe_powers(powers, n, 1, fe_root(log_of(n)));
    z[0] = 1;
    for (size_t m = 0; m < missing; m++)
        for (size_t i = m + 1; i-- > 0;) {
            z[i + 1] = fe_add(z[i + 1], z[i]);
            z[i] = fe_neg(fe_mul(z[i], powers[len + m]));
        }
    for (size_t k = 0; k < n; k++)
        a[k] = k < len ? fe_mul(a[k], poly_at(z, missing + 1, powers[k])) : 0;
    poly_coefficients(a, n);
    for (size_t i = len; i-- > 0;) { /* the quotient grows where the dividend shrinks; z is monic */
        fe top = a[i + missing];
        for (size_t j = 0; j < missing; j++)
            a[i + j] = fe_sub(a[i + j], fe_mul(top, z[j]));
    }
    memmove(a, a + missing, len * sizeof *a);
    memset(a + len, 0, missing * sizeof *a);
    fe_free(z, n + 1);
    fe_free(powers, n);
}

/*
 * The outputs of the gadget by call, into values[0 … points), and the value of g at t. Both are linear in the proof, so
 * that shares of it give shares of them.
 */
static inline fe gadget_of_proof(const struct flp *flp, const fe *poly, fe t, fe *values)
{
    const struct gadget *g = &flp->gadget;
    size_t points = gadget_points(g), len = gadget_poly_len(g), n = power_of_two(len);
    fe *all = fe_room(n);
    memcpy(all, poly, len * sizeof *all);
    if (flp->form == FLP_VALUES)
        poly_complete(all, len, n);
    fe at = poly_at(all, len, t);
    for (size_t i = 0; i < points; i++) /* at the roots of unity of the smaller order, x^points is 1 */
        for (size_t j = i; j < len; j += points)
            values[i] = fe_add(values[i], all[j]);
    poly_values(values, points);
    fe_free(all, n);
    return at;
}

/* verifier gets flp_verifier_len() elements. False when the query's point is a bad one, which does not happen. */
static inline bool flp_query(const struct flp *flp, const fe *meas, const fe *proof, const fe *query_rand,
                             const fe *joint, unsigned shares, fe *verifier)
{
    const struct gadget *g = &flp->gadget;
    size_t points = gadget_points(g);
    struct flp_run run = {
        .gadget = g, .points = points, .wires = verifier + 1, .weights = fe_room(points), .values = fe_room(points)};
    fe *out = fe_room(flp->outputs), sum = 0;
    const fe *reduce = query_rand;
    fe t = query_rand[flp_query_rand_len(flp) - 1];
    bool good = poly_lagrange(run.weights, points, t);
    verifier[1 + g->arity] = gadget_of_proof(flp, proof + g->arity, t, run.values);
    for (size_t i = 0; i < g->arity; i++)
        verifier[1 + i] = fe_mul(proof[i], run.weights[0]);
    flp->eval(flp->circuit, &run, meas, joint, fe_inverse(fe_of(shares)), out);
    for (size_t i = 0; i < flp->outputs; i++)
        sum = fe_add(sum, flp->outputs > 1 ? fe_mul(reduce[i], out[i]) : out[i]);
    verifier[0] = sum;
    fe_free(run.weights, points);
    fe_free(run.values, points);
    fe_free(out, flp->outputs);
    return good;
}

/* Whether the sum of all verifiers' shares says that the input is valid. */
static inline bool flp_decide(const struct flp *flp, const fe *verifier)
{
    const struct gadget *g = &flp->gadget;
    return (verifier[0] == 0) & (gadget_at(g, verifier + 1) == verifier[1 + g->arity]);
}

#endif
