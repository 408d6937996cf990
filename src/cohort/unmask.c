/* SPDX-License-Identifier: LGPL-3.0-or-later */
#include "cohort/unmask.h"

#include "mask/mask.h"
#include "mask/shamir.h"

#define ROW (1 + COHORT_SECRET_SIZE)

enum status cohort_answer_check(const struct cohort_graph *graph, struct str answer, struct error *err)
{
    if (answer.len != graph->degree * ROW)
        return fail(err, INVALID, NULL, "The shares of %zu neighbours are %zu bytes, not %zu.", graph->degree,
                    graph->degree * ROW, answer.len);
    for (size_t i = 0; i < graph->degree; i++)
        if ((uint8_t)answer.data[i * ROW] > COHORT_MASK_KEY)
            return fail(err, INVALID, NULL, "The share at place %zu is of no known kind.", i);
    return OK;
}

/* Shares of one member's secret that its neighbours have given, with their numbers. */
struct shares {
    uint8_t values[COHORT_MOST * COHORT_SECRET_SIZE], xs[COHORT_MOST];
    unsigned count;
};

static size_t place_of(const uint16_t *neighbours, size_t count, size_t member)
{
    size_t i = 0;
    while (i < count && neighbours[i] != member)
        i++;
    return i;
}

static void collect(const struct cohort_end *end, size_t of, enum cohort_share kind, struct shares *out)
{
    uint16_t holders[COHORT_MOST], theirs[COHORT_MOST];
    size_t degree = end->graph->degree;
    out->count = 0;
    cohort_neighbours(end->graph, of, holders);
    for (size_t i = 0; i < degree; i++) {
        struct str answer = end->answers[holders[i]];
        if (!str_given(answer))
            continue;
        cohort_neighbours(end->graph, holders[i], theirs);
        const char *row = answer.data + place_of(theirs, degree, of) * ROW;
        if ((uint8_t)*row != kind)
            continue;
        memcpy(out->values + out->count * COHORT_SECRET_SIZE, row + 1, COHORT_SECRET_SIZE);
        out->xs[out->count++] = (uint8_t)(i + 1);
    }
}

static bool is_promised(const struct cohort_end *end, size_t of, enum cohort_share kind, const uint8_t *secret)
{
    uint8_t found[32];
    if (kind == COHORT_OWN_MASK)
        cohort_commitment(secret, end->context, found);
    else
        hpke_key_public(secret, found);
    return memcmp(found, kind == COHORT_OWN_MASK ? (const uint8_t *)end->commitments[of].data : end->members[of].mask,
                  32) == 0;
}

/* Any threshold of shares will do. A wrong one among them shows in what comes out, and is left out by going round. */
static bool combine(const struct cohort_end *end, size_t of, enum cohort_share kind, const struct shares *shares,
                    uint8_t *secret)
{
    unsigned least = (unsigned)end->graph->threshold;
    uint8_t values[COHORT_MOST * COHORT_SECRET_SIZE], xs[COHORT_MOST];
    for (unsigned first = 0; shares->count >= least && first < shares->count; first++) {
        for (unsigned i = 0; i < least; i++) {
            unsigned from = (first + i) % shares->count;
            memcpy(values + i * COHORT_SECRET_SIZE, shares->values + from * COHORT_SECRET_SIZE, COHORT_SECRET_SIZE);
            xs[i] = shares->xs[from];
        }
        if (shamir_combine(values, xs, least, COHORT_SECRET_SIZE, secret, NULL) == OK &&
            is_promised(end, of, kind, secret))
            return true;
    }
    return false;
}

enum status cohort_recover(const struct cohort_end *end, uint8_t *secrets, struct error *err)
{
    struct shares shares;
    for (size_t i = 0; i < end->graph->size; i++) {
        enum cohort_share kind = cohort_listed(end->survivors, i) ? COHORT_OWN_MASK : COHORT_MASK_KEY;
        if (!cohort_listed(end->dealt, i))
            continue;
        collect(end, i, kind, &shares);
        if (!combine(end, i, kind, &shares, secrets + i * COHORT_SECRET_SIZE))
            return fail(err, UNPROCESSABLE, NULL,
                        "The %u shares that have come do not give the secret of member %zu; %zu right ones are needed.",
                        shares.count, i, end->graph->threshold);
    }
    return OK;
}

/* The masks that one who has fallen away has left in the vectors of its neighbours. */
static enum status add_left(const struct cohort_end *end, size_t gone, const uint8_t *secret, struct cohort_masks *out,
                            struct error *err)
{
    uint16_t neighbours[COHORT_MOST];
    cohort_neighbours(end->graph, gone, neighbours);
    for (size_t i = 0; i < end->graph->degree; i++) {
        if (!cohort_listed(end->survivors, neighbours[i]))
            continue;
        const uint8_t *peer = end->members[neighbours[i]].mask;
        struct cohort_mask *mask = &out->masks[out->count++];
        mask->add = mask_adds(end->members[gone].mask, peer);
        TRY(mask_pair_key(secret, peer, (struct str){(const char *)end->context, COHORT_CONTEXT_SIZE}, mask->key, err));
    }
    return OK;
}

enum status cohort_masks(const struct cohort_end *end, const uint8_t *secrets, struct arena *arena,
                         struct cohort_masks *out, struct error *err)
{
    size_t size = end->graph->size, gone = 0;
    for (size_t i = 0; i < size; i++)
        gone += cohort_listed(end->dealt, i) && !cohort_listed(end->survivors, i);
    *out = (struct cohort_masks){.masks = arena_array(arena, size + gone * end->graph->degree, sizeof *out->masks)};
    for (size_t i = 0; i < size; i++) {
        const uint8_t *secret = secrets + i * COHORT_SECRET_SIZE;
        if (cohort_listed(end->survivors, i))
            cohort_own_mask(secret, end->context, out->masks[out->count++].key); /* to be taken away */
        else if (cohort_listed(end->dealt, i))
            TRY(add_left(end, i, secret, out, err));
    }
    return OK;
}
