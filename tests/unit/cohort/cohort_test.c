/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Honest members and an honest hub: the sum is exact, whoever falls away, and nothing else is to be seen. */
#include "world.h"

static void the_sum_is_exact_in_cohorts_of_any_size(void **state)
{
    (void)state;
    static const size_t sizes[] = {3, 4, 5, 10, 32, 33, 40};
    for (size_t i = 0; i < COUNT(sizes); i++) {
        struct world *w = world_new(sizes[i]);
        run_to(w, UNMASK, everybody);
        check_sum(w);
        world_free(w);
    }
}

/* A third falls away, some of it at each step. */
static bool some_fall_away(const struct world *w, size_t member, enum step step)
{
    size_t gone = w->size - w->graph.survivors;
    return member >= gone || (member * STEPS) / (gone ? gone : 1) > (size_t)step;
}

static bool falls_at_deal(const struct world *w, size_t member, enum step step)
{
    (void)step;
    return member >= w->size - w->graph.survivors;
}

static bool falls_at_mask(const struct world *w, size_t member, enum step step)
{
    return step < MASK || member >= w->size - w->graph.survivors;
}

static bool falls_at_sign(const struct world *w, size_t member, enum step step)
{
    return step < SIGN || member >= w->size - w->graph.survivors;
}

static bool falls_at_unmask(const struct world *w, size_t member, enum step step)
{
    return step < UNMASK || member >= w->size - w->graph.survivors;
}

static void a_third_may_fall_away_at_any_step(void **state)
{
    (void)state;
    static stays_fn *const ways[] = {some_fall_away, falls_at_deal, falls_at_mask, falls_at_sign, falls_at_unmask};
    static const size_t sizes[] = {4, 5, 10, 33};
    for (size_t i = 0; i < COUNT(sizes); i++)
        for (size_t way = 0; way < COUNT(ways); way++) {
            struct world *w = world_new(sizes[i]);
            run_to(w, UNMASK, ways[way]);
            check_sum(w);
            world_free(w);
        }
}

static bool more_fall_away(const struct world *w, size_t member, enum step step)
{
    return step < UNMASK || member + 1 < w->graph.threshold;
}

static void with_too_few_shares_there_is_no_sum(void **state)
{
    (void)state;
    struct world *w = world_new(10);
    int32_t found[WIDTH];
    run_to(w, UNMASK, more_fall_away);
    assert_int_equal(sum(w, found, NULL), UNPROCESSABLE);
    world_free(w);
}

static void wrong_shares_are_left_out_and_too_many_are_noticed(void **state)
{
    (void)state;
    struct world *w = world_new(10);
    int32_t found[WIDTH];
    run_to(w, UNMASK, everybody);
    for (size_t k = 0; k < w->graph.degree; k++)
        w->answers[2].data[k * (1 + COHORT_SECRET_SIZE) + 5] ^= 1;
    check_sum(w);
    for (size_t i = 0; i < 9; i++)
        w->answers[i].data[3] ^= 1;
    assert_int_equal(sum(w, found, NULL), UNPROCESSABLE);
    world_free(w);
}

static void answers_of_another_form_are_refused(void **state)
{
    (void)state;
    struct cohort_graph graph = cohort_graph(5);
    char answer[4 * (1 + COHORT_SECRET_SIZE)] = {0};
    assert_int_equal(cohort_answer_check(&graph, bytes(answer, sizeof answer), NULL), OK);
    assert_int_equal(cohort_answer_check(&graph, bytes(answer, sizeof answer - 1), NULL), INVALID);
    answer[1 + COHORT_SECRET_SIZE] = COHORT_MASK_KEY + 1;
    assert_int_equal(cohort_answer_check(&graph, bytes(answer, sizeof answer), NULL), INVALID);
}

/* A vector and the sum of it with another's look like noise: no number of a masked one says anything of what is in it. */
static void a_vector_by_itself_says_nothing(void **state)
{
    (void)state;
    struct world *w = world_new(3);
    uint32_t numbers[WIDTH];
    size_t same = 0;
    run_to(w, MASK, everybody);
    for (size_t i = 0; i < 3; i++) {
        unsigned bits = cohort_bits(&w->round, 3);
        assert_int_equal(mask_unpack(buf_view(&w->vectors[i]), WIDTH, bits, numbers, NULL), OK);
        for (size_t k = 0; k < WIDTH; k++)
            same += mask_lift(numbers[k], bits) == w->values[i][k];
    }
    assert_true(same < 2);
    world_free(w);
}

/* The keys of masks come from 32 bytes each, and every one of an attempt is another: none is used twice (federated.md 1.3). */
static void no_mask_is_used_for_two_vectors(void **state)
{
    (void)state;
    struct world *w = world_new(10);
    uint8_t keys[2 * 55][32], secrets[MEMBERS_MOST * COHORT_SECRET_SIZE];
    struct cohort_masks masks;
    size_t count = 0;
    for (int64_t attempt = 1; attempt <= 2; attempt++) {
        w->round.number = attempt;
        begin(w, attempt);
        run_to(w, UNMASK, falls_at_mask);
        const struct cohort_end end = end_of(w, w->dealt, w->survivors);
        assert_int_equal(cohort_recover(&end, secrets, NULL), OK);
        assert_int_equal(cohort_masks(&end, secrets, &w->arena, &masks, NULL), OK);
        for (size_t i = 0; i < masks.count; i++)
            memcpy(keys[count++], masks.masks[i].key, 32);
    }
    uint8_t set[32] = {0}, unset[32] = {0};
    for (size_t i = 0; i < count; i++) {
        for (size_t k = 0; k < i; k++)
            assert_memory_not_equal(keys[i], keys[k], 32);
        for (size_t k = 0; k < 32; k++) {
            set[k] |= keys[i][k];
            unset[k] |= (uint8_t)~keys[i][k];
        }
    }
    for (size_t k = 0; k < 32; k++) /* no bit of a key is the same in all of them */
        assert_true(set[k] == 0xff && unset[k] == 0xff);
    world_free(w);
}

static void everybody_is_drawn_once_and_by_all_alike(void **state)
{
    (void)state;
    struct world *w = world_new(100);
    static const size_t sizes[] = {0, 3, 4, 7, 30, 50};
    for (size_t i = 0; i < COUNT(sizes); i++) {
        struct cohort_draw draw;
        uint8_t seen[100] = {0};
        w->round.size = sizes[i];
        assert_int_equal(cohort_draw(&w->round, w->roster, 100, w->nonce, &w->arena, &draw, NULL), OK);
        for (size_t k = 0; k < 100; k++)
            assert_int_equal(seen[draw.order[k]]++, 0);
        assert_int_equal(draw.cohorts, sizes[i] ? 100 / sizes[i] : 1);
        for (size_t k = 0; k < draw.cohorts; k++)
            assert_true(cohort_begin(&draw, k + 1) - cohort_begin(&draw, k) >= sizes[i]);
        assert_int_equal(cohort_begin(&draw, draw.cohorts), 100);
    }
    struct cohort_draw first, second;
    assert_int_equal(cohort_draw(&w->round, w->roster, 100, w->nonce, &w->arena, &first, NULL), OK);
    w->roster[7].channel[0] ^= 1; /* another key of anybody is another draw */
    assert_int_equal(cohort_draw(&w->round, w->roster, 100, w->nonce, &w->arena, &second, NULL), OK);
    assert_memory_not_equal(first.order, second.order, 100 * sizeof *first.order);
    w->nonce[0] ^= 1; /* which the hub has not promised */
    assert_int_equal(cohort_draw(&w->round, w->roster, 100, w->nonce, &w->arena, &second, NULL), INVALID);
    world_free(w);
}

static void neighbours_are_neighbours_of_each_other(void **state)
{
    (void)state;
    for (size_t size = 3; size <= COHORT_MOST; size += size < 40 ? 1 : 23) {
        struct cohort_graph graph = cohort_graph(size);
        uint8_t *side = test_calloc(size, size);
        assert_true(graph.threshold >= 2 && graph.threshold <= graph.degree && 2 * graph.threshold > graph.degree);
        assert_true(graph.survivors >= 3 && graph.survivors <= size && graph.degree < size);
        for (size_t i = 0; i < size; i++) {
            uint16_t neighbours[COHORT_MOST];
            cohort_neighbours(&graph, i, neighbours);
            for (size_t k = 0; k < graph.degree; k++) {
                assert_true(neighbours[k] != i && neighbours[k] < size &&
                            (k == 0 || neighbours[k] > neighbours[k - 1]));
                side[i * size + neighbours[k]] = 1;
            }
        }
        for (size_t i = 0; i < size; i++)
            for (size_t k = 0; k < size; k++)
                assert_int_equal(side[i * size + k], side[k * size + i]);
        test_free(side);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_sum_is_exact_in_cohorts_of_any_size),
        cmocka_unit_test(a_third_may_fall_away_at_any_step),
        cmocka_unit_test(with_too_few_shares_there_is_no_sum),
        cmocka_unit_test(wrong_shares_are_left_out_and_too_many_are_noticed),
        cmocka_unit_test(answers_of_another_form_are_refused),
        cmocka_unit_test(a_vector_by_itself_says_nothing),
        cmocka_unit_test(no_mask_is_used_for_two_vectors),
        cmocka_unit_test(everybody_is_drawn_once_and_by_all_alike),
        cmocka_unit_test(neighbours_are_neighbours_of_each_other),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
