/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Group tests over many rounds: are those found who spoil the sums, and only those? */
#include "robust/suspicion.h"
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define PEOPLE 40
#define WIDTH 64
#define GROUP 4
#define GROUPS (PEOPLE / GROUP)
#define THRESHOLD 8.0
#define ROUNDS 120
#define RUNS 100

static uint64_t dice;

static double roll(void) /* 0 to 1 */
{
    dice = dice * 6364136223846793005u + 1442695040888963407u;
    return ((double)(dice >> 11) + 0.5) / 9007199254740992.0;
}

static double bell(void)
{
    return sqrt(-2 * log(roll())) * cos(6.283185307179586 * roll());
}

enum attack { NOBODY, ASTRAY, OPPOSITE, LOUD, SLEEPERS, SETTLED }; /* SETTLED: opposite, in groups that stay */

/* Honest changes agree in one direction, and differ by as much; all are within a bound of their norm. */
static void make_change(enum attack attack, int person, int round, double *out)
{
    double square = 0;
    bool bad = attack > ASTRAY && person < 4 && !(attack == SLEEPERS && round < 40);
    for (int k = 0; k < WIDTH; k++) {
        double common = attack == ASTRAY ? 0 : 1 / sqrt(WIDTH), own = bell() / sqrt(WIDTH);
        out[k] = bad ? -common : common + own;
        if (bad && attack == LOUD)
            out[k] *= 10;
        square += out[k] * out[k];
    }
    for (int k = 0; k < WIDTH && attack != LOUD; k++)
        out[k] *= 1.4 / sqrt(square);
}

static void draw(size_t *group_of)
{
    size_t order[PEOPLE];
    for (size_t i = 0; i < PEOPLE; i++)
        order[i] = i;
    for (size_t i = PEOPLE - 1; i > 0; i--) {
        size_t j = (size_t)(roll() * (double)(i + 1)), kept = order[i];
        order[i] = order[j];
        order[j] = kept;
    }
    for (size_t place = 0; place < PEOPLE; place++)
        group_of[order[place]] = place / GROUP;
}

struct outcome {
    int rounds[PEOPLE]; /* after how many each was proposed; 0: never */
};

/* noise: what is added to each group's mean, in norm over what all within the bound have. */
static void run_once(enum attack attack, double noise, struct outcome *out)
{
    double change[WIDTH], means[GROUPS][WIDTH];
    double scores[PEOPLE] = {0}, gram[GROUPS * GROUPS];
    size_t group_of[PEOPLE];
    struct group_mark marks[GROUPS];
    *out = (struct outcome){0};
    for (int round = 1; round <= ROUNDS; round++) {
        if (round == 1 || attack != SETTLED)
            draw(group_of);
        memset(means, 0, sizeof means);
        for (int i = 0; i < PEOPLE; i++) {
            make_change(attack, i, round, change);
            for (int k = 0; k < WIDTH; k++)
                means[group_of[i]][k] += change[k] / GROUP;
        }
        for (int i = 0; noise > 0 && i < GROUPS * WIDTH; i++)
            means[i / WIDTH][i % WIDTH] += noise * 1.4 * bell() / sqrt(WIDTH);
        for (int i = 0; i < GROUPS * GROUPS; i++) {
            gram[i] = 0;
            for (int k = 0; k < WIDTH; k++)
                gram[i] += means[i / GROUPS][k] * means[i % GROUPS][k];
        }
        groups_mark(gram, GROUPS, marks);
        for (int i = 0; i < PEOPLE; i++) {
            scores[i] = evidence_add(scores[i], group_evidence(marks[group_of[i]].flagged, GROUP), THRESHOLD);
            if (scores[i] >= THRESHOLD && !out->rounds[i])
                out->rounds[i] = round;
        }
    }
}

struct measured {
    int found, wrong, slowest, after; /* after: half of the bad ones were found within so many rounds */
};

static int by_number(const void *left, const void *right)
{
    const int *a = left, *b = right;
    return (*a > *b) - (*a < *b);
}

static struct measured measure_with(enum attack attack, double noise, const char *name)
{
    static int rounds[4 * RUNS];
    struct measured out = {0};
    dice = 7;
    for (int run = 0; run < RUNS; run++) {
        struct outcome outcome;
        run_once(attack, noise, &outcome);
        for (int i = 0; i < PEOPLE; i++) {
            bool bad = attack > ASTRAY && i < 4;
            if (outcome.rounds[i] && bad)
                rounds[out.found++] = outcome.rounds[i];
            if (outcome.rounds[i] && !bad)
                out.wrong++;
        }
    }
    qsort(rounds, (size_t)out.found, sizeof *rounds, by_number);
    out.after = out.found ? rounds[out.found / 2] : 0;
    out.slowest = out.found ? rounds[out.found - 1] : 0;
    int bad = attack <= ASTRAY ? 0 : 4 * RUNS, good = PEOPLE * RUNS - bad;
    printf(
        "%s: %d of %d attackers proposed, half of them within %d rounds, all within %d; %d of %d honest ones proposed "
        "wrongly in %d rounds (%.3f %%)\n",
        name, out.found, bad, out.after, out.slowest, out.wrong, good, ROUNDS, 100.0 * out.wrong / good);
    return out;
}

static struct measured measure(enum attack attack, const char *name)
{
    return measure_with(attack, 0, name);
}

static void four_attackers_of_forty_are_found_among_groups_of_four(void **state)
{
    (void)state;
    struct measured opposite = measure(OPPOSITE, "within the bound, opposite"),
                    loud = measure(LOUD, "ten times as loud");
    assert_int_equal(opposite.found, 4 * RUNS);
    assert_int_equal(loud.found, 4 * RUNS);
    assert_true(opposite.after <= 15 && loud.after <= 15);
    /* exp(-8) of the honest ones, were the rates of this training those that are assumed. */
    assert_true(opposite.wrong <= 36 * RUNS * exp(-THRESHOLD) * 3);
    assert_true(loud.wrong <= 36 * RUNS * exp(-THRESHOLD) * 3);
}

static void who_begins_late_is_found_all_the_same(void **state)
{
    (void)state;
    struct measured late = measure(SLEEPERS, "from round 40 on");
    assert_int_equal(late.found, 4 * RUNS);
    assert_true(late.after >= 40 && late.after <= 60);
    assert_true(late.wrong <= 36 * RUNS * exp(-THRESHOLD) * 3);
}

static void where_nobody_attacks_hardly_anybody_is_proposed(void **state)
{
    (void)state;
    assert_true(measure(NOBODY, "nobody attacks").wrong <= PEOPLE * RUNS * exp(-THRESHOLD));
    assert_true(measure(ASTRAY, "nobody attacks, and no two go the same way").wrong <= PEOPLE * RUNS * exp(-THRESHOLD));
}

/* All groups are as long and as far then: what cannot be seen is held against nobody. */
static void noise_hides_attackers_and_accuses_nobody(void **state)
{
    (void)state;
    struct measured half = measure_with(OPPOSITE, 0.5, "opposite, with noise of half the bound");
    struct measured whole = measure_with(OPPOSITE, 1, "opposite, with noise of the bound");
    struct measured thrice = measure_with(OPPOSITE, 3, "opposite, with noise of three times the bound");
    assert_int_equal(half.found, 4 * RUNS);
    assert_true(half.found >= whole.found && whole.found >= thrice.found && thrice.found == 0);
    assert_true(half.wrong <= 36 * RUNS * exp(-THRESHOLD) * 3);
    assert_true(whole.wrong <= 36 * RUNS * exp(-THRESHOLD) * 3);
    assert_int_equal(thrice.wrong, 0);
    assert_true(measure_with(NOBODY, 1, "nobody attacks, with noise of the bound").wrong <=
                PEOPLE * RUNS * exp(-THRESHOLD));
}

static void groups_that_are_not_drawn_anew_put_the_blame_on_neighbours(void **state)
{
    (void)state;
    struct measured settled = measure(SETTLED, "groups that stay");
    assert_true(settled.wrong >= 4 * RUNS);
}

static void evidence_is_the_likelihood_ratio(void **state)
{
    (void)state;
    for (size_t size = 1; size <= 10; size++) {
        double flag = exp(group_evidence(true, size)), none = exp(group_evidence(false, size));
        double if_good = (1 - none) / (flag - none); /* what makes its mean 1 for a good one */
        double others = 1 - pow(0.9, (double)size - 1);
        assert_true(fabs(if_good - (0.05 + 0.95 * others)) < 1e-12);
        assert_true(fabs(if_good * flag - 0.8) < 1e-12);
        assert_true(flag > 1 && none < 1);
    }
    assert_true(group_evidence(true, 1) > group_evidence(true, 4));
    assert_true(evidence_add(-3, -5, 8) == -4 && evidence_add(1, 2, 8) == 3);
}

static void groups_of_one_are_the_rows_and_means_are_means(void **state)
{
    (void)state;
    double rows[4][2] = {{1, 0}, {3, 0}, {0, 2}, {0, 4}}, gram[16], of_groups[4], same[16];
    const size_t pairs[4] = {0, 0, 1, 1}, alone[4] = {0, 1, 2, 3};
    for (int i = 0; i < 4; i++)
        for (int j = 0; j < 4; j++)
            gram[i * 4 + j] = rows[i][0] * rows[j][0] + rows[i][1] * rows[j][1];
    groups_gram(gram, 4, pairs, 2, of_groups);
    assert_true(of_groups[0] == 4 && of_groups[3] == 9 && of_groups[1] == 0 && of_groups[2] == 0);
    groups_gram(gram, 4, alone, 4, same);
    assert_memory_equal(gram, same, sizeof gram);
}

static void one_far_off_is_marked_and_two_groups_mark_none(void **state)
{
    (void)state;
    double at[5] = {1, 1.1, 0.9, 1.05, 9}, gram[25];
    struct group_mark marks[5];
    for (int i = 0; i < 5; i++)
        for (int j = 0; j < 5; j++)
            gram[i * 5 + j] = at[i] * at[j];
    groups_mark(gram, 5, marks);
    assert_true(marks[4].flagged && marks[4].norm == 9);
    const double two[4] = {1, 0, 0, 100}, zeros[9] = {0};
    groups_mark(two, 2, marks);
    assert_false(marks[0].flagged || marks[1].flagged);
    groups_mark(zeros, 3, marks);
    assert_false(marks[0].flagged || marks[1].flagged || marks[2].flagged);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(four_attackers_of_forty_are_found_among_groups_of_four),
        cmocka_unit_test(who_begins_late_is_found_all_the_same),
        cmocka_unit_test(where_nobody_attacks_hardly_anybody_is_proposed),
        cmocka_unit_test(noise_hides_attackers_and_accuses_nobody),
        cmocka_unit_test(groups_that_are_not_drawn_anew_put_the_blame_on_neighbours),
        cmocka_unit_test(evidence_is_the_likelihood_ratio),
        cmocka_unit_test(groups_of_one_are_the_rows_and_means_are_means),
        cmocka_unit_test(one_far_off_is_marked_and_two_groups_mark_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
