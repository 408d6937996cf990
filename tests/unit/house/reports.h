/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Reports of participants who know the protocol: honest ones, and such as break one rule of it, sealed and signed as they should be. */
#ifndef CAIRN_TESTS_HOUSE_REPORTS_H
#define CAIRN_TESTS_HOUSE_REPORTS_H

#pragma GCC diagnostic ignored "-Wunused-function"
#define FIELD_BITS 64
#include "base/hash.h"
#include "pact/config.h"
#include "pine/client.h"
#include "pine/seal.h"
#include <assert.h>
#include <math.h>
#include <stdio.h>

enum evil {
    HONEST,
    OVER, /* a norm over the bound; what is left to it is negative, and its bits are taken modulo a power of two */
    WRAPAROUND,     /* squares that add up to the field's modulus and something small: the attack of the PINE paper */
    NO_BIT,         /* a bit that is 2 */
    WRONG_NORM,     /* another norm than the vector's */
    SWAPPED_HELPER, /* the helper's share is of other seeds */
    OTHER_ROUND,    /* sealed for another configuration */
    CUT, /* the leader's last chunk is missing a byte, and the one before it stands at its end: the length is right */
    UNSIGNED,
    EVILS
};
static const char *const evil_names[EVILS] = {"honest",         "over",        "wraparound", "no-bit",  "wrong-norm",
                                              "swapped-helper", "other-round", "cut",        "unsigned"};

static inline enum status sink_to_buf(void *context, const uint8_t *data, size_t len, struct error *err)
{
    (void)err;
    buf_add(context, data, len);
    return OK;
}

static inline void wraparound_vector(int32_t *x, size_t count)
{
    unsigned __int128 rest = (unsigned __int128)FE_MODULUS + 5;
    for (size_t i = 0; i < count; i++) {
        double root = floor(sqrt((double)rest));
        int64_t value = root > INT32_MAX ? INT32_MAX : (int64_t)root;
        while ((unsigned __int128)value * (unsigned __int128)value > rest)
            value--;
        x[i] = (int32_t)value;
        rest -= (unsigned __int128)value * (unsigned __int128)value;
    }
    assert(rest == 0);
}

static inline void evil_bits(const struct pine *pine, enum evil evil, const int32_t *x, fe *bits)
{
    fe norm = 0;
    for (size_t i = 0; i < pine->config.dimension; i++)
        norm = fe_add(norm, fe_mul(fe_of_signed(x[i]), fe_of_signed(x[i])));
    uint64_t v = evil == WRONG_NORM ? norm - 1 : norm, bound = pine->config.norm_bound;
    bits_encode(bits, v, pine->norm_bits);
    bits_encode(bits + pine->norm_bits, bound * bound - v, pine->norm_bits);
    for (unsigned i = 0; evil == NO_BIT && i + 1 < pine->norm_bits; i++)
        if (bits[i] == 0 && bits[i + 1] == 1) {
            bits[i] = 2;
            bits[i + 1] = 0;
            return;
        }
}

/* shard_into() of client.h, with a step that lies. */
static inline void evil_shard(const struct pine *pine, enum evil evil, const int32_t *x, const uint8_t *nonce,
                              const uint8_t *rand, struct pine_sink sink, uint8_t *helper, uint8_t *public_share)
{
    struct error err;
    size_t norm_len = 2 * pine->norm_bits;
    int64_t sums[PINE_CHECKS_MAX] = {0}, w = (int64_t)pine->check_bound;
    uint8_t seed[SEED_SIZE_MAX];
    fe *meas = fe_room(pine->bits + pine->config.checks), *proofs = fe_room(pine->proofs_len);
    struct sharing *s = sharing_begin(pine, sink, nonce, rand);
    evil_bits(pine, evil, x, meas);
    assert(vector_share(s, x, &err) == OK && share_all(s, meas, norm_len, true, &err) == OK);
    parts_end(s, PART_WR, public_share, seed);
    tests_run(s, x, seed, sums);
    fe *bits = meas + norm_len;
    for (unsigned k = 0; k < pine->config.checks; k++, bits += pine->check_bits + 1) {
        bool good = sums[k] > -w && sums[k] <= w;
        bits_encode(bits, good ? (uint64_t)(sums[k] + w - 1) : 0, pine->check_bits);
        bits[pine->check_bits] = 1;
    }
    assert(share_all(s, meas + norm_len, pine->bits - norm_len, false, &err) == OK);
    for (unsigned k = 0; k < pine->config.checks; k++)
        meas[pine->bits + k] = fe_of_wide(sums[k]);
    parts_end(s, PART_VF, public_share, seed);
    prove(pine, x, meas, rand + 6 * pine->seed, seed, proofs);
    assert(proofs_share(s, proofs, rand + pine->seed, &err) == OK);
    assert(sink.write(sink.context, rand + 4 * pine->seed, 2 * pine->seed, &err) == OK);
    memcpy(helper, rand, pine->helper_share);
    fe_free(meas, pine->bits + pine->config.checks);
    fe_free(proofs, pine->proofs_len);
    sharing_end(s);
}

static inline void seal_all(const uint8_t recipient[32], const uint8_t ctx[SHA256_SIZE], const struct report *report,
                            int house, struct str share, struct buf *out)
{
    struct error err;
    uint8_t aad[REPORT_AAD_SIZE];
    auto_seal struct seal seal;
    assert(seal_begin(&seal, recipient, (struct str){(const char *)ctx, SHA256_SIZE}, report_aad(report, house, aad),
                      (struct pine_sink){sink_to_buf, out}, &err) == OK);
    struct pine_sink sink = seal_sink(&seal);
    assert(sink.write(sink.context, (const uint8_t *)share.data, share.len, &err) == OK &&
           seal_finish(&seal, &err) == OK);
}

/* nonce and key: given, or NULL for fresh ones. x has as many integers as the configuration says; WRAPAROUND has its own. leader is what is sent of
 * the leader's share. */
static inline void make_report(const struct pact *pact, const uint8_t right_ctx[SHA256_SIZE], enum evil evil,
                               const int32_t *x, const uint8_t *nonce, const struct pact_key *given, struct report *out,
                               struct buf *leader)
{
    struct error err;
    struct pine pine;
    struct pact_key key;
    struct buf share = {0}, helper_sealed = {0};
    uint8_t seed[32], rand[16 * SEED_SIZE_MAX], helper[4 * SEED_SIZE_MAX], ctx[SHA256_SIZE];
    int32_t *wrap = calloc((size_t)pact->dimension, sizeof *wrap);
    memcpy(ctx, right_ctx, sizeof ctx);
    ctx[0] ^= evil == OTHER_ROUND;
    assert(pact_pine(pact, ctx, &pine, &err) == OK && pine.config.field_bits == FIELD_BITS);
    random_bytes(seed, sizeof seed);
    pact_key_make(&key, seed);
    if (given)
        key = *given;
    random_bytes(rand, sizeof rand);
    random_bytes(out->nonce, sizeof out->nonce);
    if (nonce)
        memcpy(out->nonce, nonce, sizeof out->nonce);
    memcpy(out->key, key.public_key, PACT_KEY_SIZE);
    if (evil == WRAPAROUND)
        wraparound_vector(wrap, (size_t)pact->dimension);
    const struct pine_sink sink = {sink_to_buf, &share};
    if (evil >= OVER && evil <= WRONG_NORM)
        evil_shard(&pine, evil, evil == WRAPAROUND ? wrap : x, out->nonce, rand, sink, helper, out->public_share);
    else
        assert(pine_shard(&pine, x, out->nonce, rand, sink, helper, out->public_share, &err) == OK);
    if (evil == SWAPPED_HELPER)
        random_bytes(helper, sizeof helper);
    leader->len = 0;
    seal_all(pact->hub.seal, ctx, out, 0, buf_view(&share), leader);
    seal_all(pact->house.seal, ctx, out, 1, (struct str){(char *)helper, sizeof helper}, &helper_sealed);
    assert(helper_sealed.len == sizeof out->helper);
    memcpy(out->helper, helper_sealed.data, sizeof out->helper);
    if (evil == CUT)
        memmove(leader->data + HPKE_KEY_SIZE + 1, leader->data + HPKE_KEY_SIZE, leader->len - HPKE_KEY_SIZE - 1);
    blake3(buf_view(leader), out->leader);
    report_sign(out, &key, right_ctx);
    out->signature[0] ^= evil == UNSIGNED;
    buf_free(&share);
    buf_free(&helper_sealed);
    free(wrap);
}

#endif
