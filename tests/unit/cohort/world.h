/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef CAIRN_TESTS_COHORT_WORLD_H
#define CAIRN_TESTS_COHORT_WORLD_H

#include "../base/check.h"
#include "cohort/unmask.h"
#include "mask/mask.h"

/* A cohort of real members and a hub that is played by the test: it may lie. */
enum { WIDTH = 37, MEMBERS_MOST = 100, MEMORY = 4096 };

/* What members remember, as state.c of src/train does; it outlives a member. */
struct notes {
    uint8_t records[MEMORY][2 * COHORT_PAIR_SIZE];
    size_t count;
};

static inline enum status remember(void *context, const char *what, const uint8_t *pairs, size_t count,
                                   struct error *err)
{
    struct notes *notes = context;
    for (size_t i = 0; i < count; i++, pairs += COHORT_PAIR_SIZE) {
        size_t at = 0;
        uint8_t key[COHORT_PAIR_SIZE] = {0};
        memcpy(key, what, strlen(what));
        memcpy(key + 32, pairs, 32);
        while (at < notes->count && memcmp(notes->records[at], key, sizeof key) != 0)
            at++;
        if (at < notes->count && memcmp(notes->records[at] + sizeof key, pairs + 32, 32) != 0)
            return fail(err, CONFLICT, "Remembered", "It is remembered otherwise.");
        if (at < notes->count)
            continue;
        assert_true(notes->count < MEMORY);
        memcpy(notes->records[notes->count], key, sizeof key);
        memcpy(notes->records[notes->count++] + sizeof key, pairs + 32, 32);
    }
    return OK;
}

struct world {
    struct arena arena;
    size_t size;
    struct cohort_round round;
    uint8_t nonce[32];
    uint8_t seeds[MEMBERS_MOST][32];
    struct notes *notes; /* of each */
    /* From here on by place in the ring. */
    struct cohort_graph graph;
    struct cohort_draw draw;
    struct cohort_client *clients[MEMBERS_MOST];
    struct cohort_member *roster, members[MEMBERS_MOST];
    int32_t values[MEMBERS_MOST][WIDTH];
    struct buf dealings[MEMBERS_MOST], vectors[MEMBERS_MOST], answers[MEMBERS_MOST];
    uint8_t signatures[MEMBERS_MOST][COHORT_SIGNATURE_SIZE];
    uint8_t dealt[COHORT_LIST_MOST], survivors[COHORT_LIST_MOST], signers[COHORT_LIST_MOST];
};

static inline struct str bytes(const void *data, size_t len)
{
    return (struct str){data, len};
}

static inline void list_set(uint8_t *list, size_t at, bool in)
{
    list[at / 8] = (uint8_t)((list[at / 8] & ~(1u << at % 8)) | (unsigned)in << at % 8);
}

static inline struct cohort_client *new_client(struct world *w, const struct cohort_round *round, size_t member)
{
    uint8_t name[COHORT_NAME_SIZE] = {0, (uint8_t)member};
    return cohort_client_new(round, name, w->seeds[member], (struct cohort_memory){remember, &w->notes[member]});
}

/* An attempt: its keys. Members that there were before are the same; attempt 1 is their first. */
static inline void begin(struct world *w, int64_t attempt)
{
    struct cohort_client *clients[MEMBERS_MOST];
    w->round.attempt = attempt;
    random_bytes(w->nonce, sizeof w->nonce);
    sha256(bytes(w->nonce, sizeof w->nonce), w->round.nonce_sha256);
    w->roster = arena_array(&w->arena, w->size, sizeof *w->roster);
    for (size_t i = 0; i < w->size; i++) {
        clients[i] = new_client(w, &w->round, i);
        assert_int_equal(cohort_client_keys(clients[i], &w->roster[i], NULL), OK);
    }
    assert_int_equal(cohort_draw(&w->round, w->roster, w->size, w->nonce, &w->arena, &w->draw, NULL), OK);
    for (size_t i = 0; i < w->size; i++) {
        cohort_client_free(w->clients[i]);
        w->clients[i] = clients[w->draw.order[i]];
        w->members[i] = w->roster[w->draw.order[i]];
        buf_free(&w->dealings[i]);
        buf_free(&w->vectors[i]);
        buf_free(&w->answers[i]);
    }
    memset(w->dealt, 0, sizeof w->dealt);
    memset(w->survivors, 0, sizeof w->survivors);
    memset(w->signers, 0, sizeof w->signers);
}

static inline struct world *world_new(size_t size)
{
    struct world *w = test_calloc(1, sizeof *w);
    w->size = size;
    w->notes = test_calloc(size, sizeof *w->notes);
    w->graph = cohort_graph(size);
    w->round = (struct cohort_round){.run = STR("0123456789abcdef0123456789abcdef"),
                                     .base = STR("b45e"),
                                     .model = STR("30de1"),
                                     .number = 1,
                                     .width = WIDTH,
                                     .bound = 10,
                                     .rule = STR("mean"),
                                     .least = 3};
    random_bytes(w->seeds, sizeof w->seeds);
    random_bytes(w->values, sizeof w->values);
    for (size_t i = 0; i < size; i++)
        for (size_t k = 0; k < WIDTH; k++)
            w->values[i][k] = k < 2 ? (k ? COHORT_VALUES : -COHORT_VALUES) : w->values[i][k] % (COHORT_VALUES + 1);
    begin(w, 1);
    return w;
}

static inline void world_free(struct world *w)
{
    for (size_t i = 0; i < w->size; i++) {
        cohort_client_free(w->clients[i]);
        buf_free(&w->dealings[i]);
        buf_free(&w->vectors[i]);
        buf_free(&w->answers[i]);
    }
    arena_free(&w->arena);
    test_free(w->notes);
    test_free(w);
}

static inline enum status deal(struct world *w, size_t i, struct error *err)
{
    return cohort_client_deal(w->clients[i], bytes(w->roster, w->size * sizeof *w->roster), bytes(w->nonce, 32),
                              &w->dealings[i], err);
}

/* What the hub brings to member i of its neighbours' dealings. */
static inline void bring_dealt(struct world *w, size_t i, struct buf *out)
{
    uint16_t neighbours[COHORT_MOST], theirs[COHORT_MOST];
    cohort_neighbours(&w->graph, i, neighbours);
    for (size_t k = 0; k < w->graph.degree; k++) {
        size_t at = 0;
        bool here = cohort_listed(w->dealt, neighbours[k]);
        uint8_t zeros[COHORT_SEALED_SIZE] = {0};
        cohort_neighbours(&w->graph, neighbours[k], theirs);
        while (theirs[at] != i)
            at++;
        buf_byte(out, here);
        buf_add(out, here ? w->dealings[neighbours[k]].data + SHA256_SIZE + at * COHORT_SEALED_SIZE : (char *)zeros,
                COHORT_SEALED_SIZE);
    }
}

static inline enum status mask(struct world *w, size_t i, struct error *err)
{
    auto_buf struct buf dealt = {0};
    bring_dealt(w, i, &dealt);
    return cohort_client_mask(w->clients[i], buf_view(&dealt), w->values[i], &w->vectors[i], err);
}

static inline enum status sign(struct world *w, size_t i, const uint8_t *list, struct error *err)
{
    return cohort_client_sign(w->clients[i], bytes(list, cohort_list_size(w->size)), w->signatures[i], err);
}

static inline void bring_signatures(struct world *w, size_t i, struct buf *out)
{
    uint16_t neighbours[COHORT_MOST];
    cohort_neighbours(&w->graph, i, neighbours);
    for (size_t k = 0; k < w->graph.degree; k++) {
        uint8_t zeros[COHORT_SIGNATURE_SIZE] = {0};
        bool here = cohort_listed(w->signers, neighbours[k]);
        buf_byte(out, here);
        buf_add(out, here ? w->signatures[neighbours[k]] : zeros, COHORT_SIGNATURE_SIZE);
    }
}

static inline enum status unmask(struct world *w, size_t i, struct error *err)
{
    auto_buf struct buf signatures = {0};
    bring_signatures(w, i, &signatures);
    return cohort_client_unmask(w->clients[i], buf_view(&signatures), &w->answers[i], err);
}

/* All steps up to and with one; who stays away from a step stays away from all after it. */
enum step { DEAL, MASK, SIGN, UNMASK, STEPS };
typedef bool stays_fn(const struct world *w, size_t member, enum step step);

static inline bool everybody(const struct world *w, size_t member, enum step step)
{
    (void)w, (void)member, (void)step;
    return true;
}

static inline void run_to(struct world *w, enum step last, stays_fn *stays)
{
    for (enum step step = DEAL; step <= last; step++)
        for (size_t i = 0; i < w->size; i++) {
            if (!stays(w, i, step) || (step == MASK && !cohort_listed(w->dealt, i)) ||
                (step == SIGN && !cohort_listed(w->survivors, i)) || (step == UNMASK && !cohort_listed(w->signers, i)))
                continue;
            struct error err = {0};
            enum status status = step == DEAL   ? deal(w, i, &err)
                                 : step == MASK ? mask(w, i, &err)
                                 : step == SIGN ? sign(w, i, w->survivors, &err)
                                                : unmask(w, i, &err);
            if (status != OK)
                broken("member %zu, step %d: %s", i, step, err.message);
            if (step < UNMASK)
                list_set(step == DEAL ? w->dealt : step == MASK ? w->survivors : w->signers, i, true);
        }
}

static inline struct cohort_end end_of(struct world *w, const uint8_t *dealt, const uint8_t *survivors)
{
    struct str *commitments = arena_array(&w->arena, w->size, sizeof *commitments),
               *answers = arena_array(&w->arena, w->size, sizeof *answers);
    for (size_t i = 0; i < w->size; i++) {
        commitments[i] = str_slice(buf_view(&w->dealings[i]), 0, SHA256_SIZE);
        answers[i] = w->answers[i].len ? buf_view(&w->answers[i]) : (struct str){0};
    }
    return (struct cohort_end){.graph = &w->graph,
                               .members = w->members,
                               .context = w->draw.context,
                               .dealt = dealt,
                               .survivors = survivors,
                               .commitments = commitments,
                               .answers = answers};
}

/* The survivors' vectors summed, and the masks taken off: as the hub does it. */
static inline enum status sum(struct world *w, int32_t out[WIDTH], struct error *err)
{
    uint32_t total[WIDTH] = {0}, one[WIDTH];
    uint8_t secrets[MEMBERS_MOST * COHORT_SECRET_SIZE];
    struct cohort_masks masks;
    unsigned bits = cohort_bits(&w->round, w->size);
    const struct cohort_end end = end_of(w, w->dealt, w->survivors);
    TRY(cohort_recover(&end, secrets, err));
    TRY(cohort_masks(&end, secrets, &w->arena, &masks, err));
    for (size_t i = 0; i < w->size; i++) {
        if (!cohort_listed(w->survivors, i))
            continue;
        TRY(mask_unpack(buf_view(&w->vectors[i]), WIDTH, bits, one, err));
        for (size_t k = 0; k < WIDTH; k++)
            total[k] += one[k];
    }
    for (size_t i = 0; i < masks.count; i++)
        mask_apply_from(masks.masks[i].key, masks.masks[i].add, 0, total, WIDTH);
    for (size_t k = 0; k < WIDTH; k++)
        out[k] = mask_lift(total[k], bits);
    return OK;
}

static inline void check_sum(struct world *w)
{
    int32_t found[WIDTH];
    struct error err = {0};
    if (sum(w, found, &err) != OK)
        broken("%s", err.message);
    for (size_t k = 0; k < WIDTH; k++) {
        int32_t wanted = 0;
        for (size_t i = 0; i < w->size; i++)
            wanted += cohort_listed(w->survivors, i) ? w->values[i][k] : 0;
        assert_int_equal(found[k], wanted);
    }
}

#endif
