/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What must hold whatever the numbers are; tests/e2e/test_robust.py compares them with those of others. */
#include "robust/internal.h"
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#undef fail /* here it is ours (base/error.h) */

struct table {
    size_t rows;
    int64_t width, fails_at; /* reading there fails; -1: nowhere */
    const float *values;
    double *out;
};

static enum status read_table(void *context, size_t row, int64_t at, size_t count, float *out, struct error *err)
{
    const struct table *table = context;
    if (at == table->fails_at)
        return fail(err, CORRUPT, NULL, "a bad sector");
    memcpy(out, table->values + (int64_t)row * table->width + at, count * sizeof *out);
    return OK;
}

static enum status write_table(void *context, int64_t at, size_t count, const double *values, struct error *err)
{
    struct table *table = context;
    (void)err;
    memcpy(table->out + at, values, count * sizeof *values);
    return OK;
}

static uint32_t dice = 1;

static float roll(void)
{
    dice = dice * 1664525 + 1013904223;
    return (float)((int32_t)dice >> 8) / 65536.0f;
}

static struct table table_new(size_t rows, int64_t width)
{
    size_t count = (rows + 1) * (size_t)width;
    float *values = calloc(count, sizeof *values);
    dice = 1;
    for (size_t i = 0; i < count; i++)
        values[i] = roll();
    return (struct table){rows, width, -1, values, calloc((size_t)width, sizeof(double))};
}

static void table_free(struct table *table)
{
    free((void *)table->values);
    free(table->out);
}

static struct robust_rows rows_of(struct table *table, unsigned threads)
{
    return (struct robust_rows){.count = table->rows,
                                .width = table->width,
                                .read = read_table,
                                .context = table,
                                .has_origin = true,
                                .threads = threads};
}

static enum status run(struct table *table, const struct robust_how *how, unsigned threads, struct error *err)
{
    const struct robust_rows rows = rows_of(table, threads);
    const struct robust_sink sink = {write_table, table};
    return robust_aggregate(&rows, how, &sink, err);
}

static struct robust_how how_of(enum robust_rule rule)
{
    return (struct robust_how){.rule = rule, .suspects = 2, .nu = 1e-6, .steps = 4, .radius = 10};
}

static void any_number_of_threads_gives_the_same_bits(void **state)
{
    (void)state;
    struct table table = table_new(13, 30011);
    double *first = calloc(30011, sizeof *first);
    for (int rule = 0; rule < ROBUST_RULES; rule++)
        for (int mix = 0; mix < 2; mix++) {
            struct robust_how how = how_of((enum robust_rule)rule);
            how.mix = mix;
            for (unsigned threads = 1; threads <= 5; threads++) {
                assert_int_equal(OK, run(&table, &how, threads, NULL));
                if (threads == 1)
                    memcpy(first, table.out, 30011 * sizeof *first);
                assert_memory_equal(first, table.out, 30011 * sizeof *first);
            }
        }
    free(first);
    table_free(&table);
}

/* The processor at hand may have AVX2; the bits must not tell. */
static void the_plain_loops_give_the_bits_of_the_fast_ones(void **state)
{
    (void)state;
    extern const struct kernels kernels_plain;
    const struct kernels *fast = kernels_choose();
    enum { ROWS = 11, WIDE = 64 }; /* two corners, tiles between them, and three rows left over */
    double rows[ROWS * WIDE], one[ROWS * ROWS] = {0}, other[ROWS * ROWS] = {0}, sums[64] = {0}, sums_too[64] = {0};
    float values[64];
    dice = 5;
    for (size_t i = 0; i < ROWS * WIDE; i++)
        rows[i] = (double)roll();
    for (size_t i = 0; i < 64; i++)
        values[i] = roll();
    kernels_plain.gram(rows, ROWS, WIDE, WIDE, one);
    fast->gram(rows, ROWS, WIDE, WIDE, other);
    for (size_t i = 0; i < ROWS; i++)
        for (size_t j = i; j < ROWS; j++) {
            double lanes[ROBUST_LANES] = {0}, sum;
            for (size_t k = 0; k < WIDE; k++)
                lanes[k % ROBUST_LANES] += rows[i * WIDE + k] * rows[j * WIDE + k];
            sum = (lanes[0] + lanes[1]) + (lanes[2] + lanes[3]);
            assert_memory_equal(one + i * ROWS + j, &sum, sizeof sum);
            assert_memory_equal(other + i * ROWS + j, &sum, sizeof sum);
        }
    for (int again = 0; again < 3; again++) {
        kernels_plain.add(sums, 0.1, values, 64);
        fast->add(sums_too, 0.1, values, 64);
    }
    assert_memory_equal(sums, sums_too, sizeof sums);
    const double weights[ROBUST_TOGETHER] = {0.1, 0.2, 0.3, 0.4};
    for (size_t i = 0; i < ROBUST_TOGETHER; i++)
        kernels_plain.add(sums, weights[i], values + 16 * i, 16);
    fast->add_rows(sums_too, weights, values, 16, 16);
    assert_memory_equal(sums, sums_too, sizeof sums);
}

/* Every other number is so small that its products vanish beside the others'. */
static void coarse_sums_are_off_by_no_more_than_is_promised(void **state)
{
    (void)state;
    extern const struct kernels kernels_plain;
    const struct kernels *both[] = {&kernels_plain, kernels_choose()};
    enum { ROWS = 11, WIDE = 64 };
    float rows[ROWS * WIDE];
    dice = 6;
    for (size_t i = 0; i < ROWS * WIDE; i++)
        rows[i] = i % 2 ? roll() * 1e-25f : roll();
    for (int which = 0; which < 2; which++) {
        double gram[ROWS * ROWS] = {0};
        bool differs = false;
        both[which]->coarse_gram(rows, ROWS, WIDE, WIDE, gram);
        for (size_t i = 0; i < ROWS; i++)
            for (size_t j = i; j < ROWS; j++) {
                double sum = 0, sizes = 0;
                for (size_t k = 0; k < WIDE; k++) {
                    double product = (double)rows[i * WIDE + k] * (double)rows[j * WIDE + k];
                    sum += product;
                    sizes += fabs(product);
                }
                double off = fabs(gram[i * ROWS + j] - sum);
                assert_true(off <= (WIDE / ROBUST_COARSE_LANES + 3.01) * 0x1p-24 * sizes + WIDE * (double)FLT_MIN);
                differs = differs || off > 0;
            }
        assert_true(differs); /* else there would be nothing to promise */
    }
}

/* Tables among whose rows Krum has to choose: whether products in float32 tell which, and numbers that come from a common one. */
static const struct {
    const char *name;
    float common, scale, first; /* first: what the first row is multiplied by, too */
    bool sure;
} kinds[] = {
    {"ordinary", 0, 1, 1, true},
    {"one row far from the others", 0, 1, 1e6f, true},
    {"products above float32", 0, 1e30f, 1, false},
    {"one row's products above float32", 0, 1, 1e25f, false},
    {"products below float32", 0, 1e-30f, 1, false},
    {"rows near to each other", 1, 1e-5f, 1, false},
    {"equal rows", 1, 0, 1, false},
};

static void fill(struct table *table, size_t kind)
{
    float *values = (float *)table->values;
    size_t width = (size_t)table->width;
    for (size_t j = 0; j < width; j++) {
        float common = roll() * kinds[kind].common;
        for (size_t row = 0; row < table->rows; row++)
            values[row * width + j] = (common + roll() * kinds[kind].scale) * (row == 0 ? kinds[kind].first : 1);
        values[table->rows * width + j] = 0; /* the origin */
    }
}

/* With buckets of one row each, the rule is the same and has exact products. */
static void krum_keeps_the_rows_that_exact_products_tell(void **state)
{
    (void)state;
    enum { WIDE = 3001, TABLES = 5 };
    struct table table = table_new(13, WIDE);
    double *first = calloc(WIDE, sizeof *first), coarse[13 * 13], exact[13 * 13], weights[13], exact_weights[13];
    struct robust_rows rows = rows_of(&table, 2);
    size_t misled = 0;
    for (size_t at = 0; at < sizeof kinds / sizeof *kinds * TABLES * 4; at++) {
        size_t kind = at / 4 / TABLES;
        struct robust_how how = how_of(at % 2 ? ROBUST_MULTI_KRUM : ROBUST_KRUM);
        how.convention = at / 2 % 2 ? ROBUST_BYZFL : ROBUST_FLOWER;
        fill(&table, kind);
        assert_int_equal(OK, coarse_gram(&rows, coarse, NULL));
        bool sure = krum_is_sure(coarse, 13, &how, COARSE_SHARE, COARSE_REST * WIDE);
        if (sure != kinds[kind].sure)
            print_error("%s: float32 tells%s\n", kinds[kind].name, sure ? "" : " nothing");
        assert_true(sure == kinds[kind].sure);
        assert_int_equal(OK, run(&table, &how, 2, NULL));
        memcpy(first, table.out, WIDE * sizeof *first);
        how.bucket = 1;
        assert_int_equal(OK, run(&table, &how, 2, NULL));
        assert_memory_equal(first, table.out, WIDE * sizeof *first);
        assert_int_equal(OK, robust_gram(&rows, exact, NULL));
        weigh_krum(coarse, 13, &how, NULL, weights);
        weigh_krum(exact, 13, &how, NULL, exact_weights);
        misled += memcmp(weights, exact_weights, sizeof weights) != 0;
    }
    assert_true(misled > 0); /* float32 alone would have kept others */
    free(first);
    table_free(&table);
}

static void networks_sort_any_number_of_values(void **state)
{
    (void)state;
    for (size_t n = 1; n <= 70; n++) {
        struct comparator *network;
        size_t count;
        int32_t *keys = calloc(n * ROBUST_TILE, sizeof *keys);
        for (size_t i = 0; i < n * ROBUST_TILE; i++)
            keys[i] = (int32_t)roll();
        network_make(n, 0, n, &network, &count);
        kernels_choose()->sort(keys, network, count);
        for (size_t i = ROBUST_TILE; i < n * ROBUST_TILE; i++)
            assert_true(keys[i - ROBUST_TILE] <= keys[i]);
        free(network);
        free(keys);
    }
}

/* The middle alone takes fewer comparators, and is the same. */
static void a_pruned_network_finds_the_ranks_that_are_wanted(void **state)
{
    (void)state;
    for (size_t n = 2; n <= 40; n++) {
        struct comparator *whole, *pruned;
        size_t count, fewer;
        int32_t *keys = calloc(2 * n * ROBUST_TILE, sizeof *keys), *copy = keys + n * ROBUST_TILE;
        for (size_t i = 0; i < n * ROBUST_TILE; i++)
            keys[i] = copy[i] = (int32_t)roll();
        network_make(n, 0, n, &whole, &count);
        network_make(n, n / 2, n / 2 + 1, &pruned, &fewer);
        assert_true(fewer <= count);
        kernels_choose()->sort(keys, whole, count);
        kernels_choose()->sort(copy, pruned, fewer);
        assert_memory_equal(keys + n / 2 * ROBUST_TILE, copy + n / 2 * ROBUST_TILE, ROBUST_TILE * sizeof *keys);
        free(whole);
        free(pruned);
        free(keys);
    }
}

static void rows_are_differences_to_the_origin(void **state)
{
    (void)state;
    float values[] = {5, 7, 9, 1, 2, 3, 3, 3, 3}; /* two rows, and the origin */
    double out[3];
    struct table table = {2, 3, -1, values, out};
    const struct robust_how how = {.rule = ROBUST_MEAN};
    assert_int_equal(OK, run(&table, &how, 1, NULL));
    assert_true(out[0] == 0 && out[1] == 1.5 && out[2] == 3);
}

static void equal_rows_come_out_as_they_are(void **state)
{
    (void)state;
    struct table table = table_new(11, 100);
    float *values = (float *)table.values;
    for (size_t row = 1; row < 11; row++)
        memcpy(values + row * 100, values, 100 * sizeof *values);
    memset(values + 1100, 0, 100 * sizeof *values);
    for (int rule = 0; rule < ROBUST_CENTRED_CLIPPING; rule++) {
        struct robust_how how = how_of((enum robust_rule)rule);
        assert_int_equal(OK, run(&table, &how, 2, NULL));
        for (size_t i = 0; i < 100; i++)
            assert_true(fabs(table.out[i] - (double)values[i]) <= 1e-12 * fabs((double)values[i]));
    }
    table_free(&table);
}

static void too_many_suspects_are_refused(void **state)
{
    (void)state;
    struct table table = table_new(10, 8);
    struct error err;
    for (int rule = 0; rule < ROBUST_RULES; rule++) {
        struct robust_how how = how_of((enum robust_rule)rule);
        how.suspects = 5;
        assert_int_equal(INVALID, run(&table, &how, 1, &err));
        how.suspects = rule == ROBUST_BULYAN ? 1 : 4;
        assert_int_equal(OK, run(&table, &how, 1, &err));
    }
    struct robust_how bulyan = how_of(ROBUST_BULYAN);
    assert_int_equal(INVALID, run(&table, &bulyan, 1, &err)); /* 10 are fewer than 4 * 2 + 3 */
    struct robust_how nothing = how_of(ROBUST_MEAN);
    table.rows = 0;
    assert_int_equal(INVALID, run(&table, &nothing, 1, &err));
    table_free(&table);
}

static void an_error_of_a_read_comes_through(void **state)
{
    (void)state;
    struct table table = table_new(11, 100000);
    table.fails_at = 2 * (int64_t)robust_block(11);
    for (int rule = 0; rule < ROBUST_RULES; rule++) {
        struct robust_how how = how_of((enum robust_rule)rule);
        struct error err = {0};
        assert_int_equal(CORRUPT, run(&table, &how, 3, &err));
        assert_string_equal("a bad sector", err.message);
    }
    table_free(&table);
}

static void names_of_rules_lead_back_to_them(void **state)
{
    (void)state;
    enum robust_rule found;
    for (int rule = 0; rule < ROBUST_RULES; rule++)
        assert_true(robust_rule_find(robust_rule_name((enum robust_rule)rule), &found) &&
                    found == (enum robust_rule)rule);
    assert_false(robust_rule_find("best", &found));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(any_number_of_threads_gives_the_same_bits),
        cmocka_unit_test(the_plain_loops_give_the_bits_of_the_fast_ones),
        cmocka_unit_test(coarse_sums_are_off_by_no_more_than_is_promised),
        cmocka_unit_test(krum_keeps_the_rows_that_exact_products_tell),
        cmocka_unit_test(networks_sort_any_number_of_values),
        cmocka_unit_test(a_pruned_network_finds_the_ranks_that_are_wanted),
        cmocka_unit_test(rows_are_differences_to_the_origin),
        cmocka_unit_test(equal_rows_come_out_as_they_are),
        cmocka_unit_test(too_many_suspects_are_refused),
        cmocka_unit_test(an_error_of_a_read_comes_through),
        cmocka_unit_test(names_of_rules_lead_back_to_them),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
