/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "gate/figures.h"
#include <math.h>

#include "../base/check.h"

#define assert_near(actual, expected, off) assert_true(fabs((actual) - (expected)) <= (off))

/* J. Cohen, A coefficient of agreement for nominal scales (1960), table 1: 200 cases, kappa .492. */
static void test_kappa_is_that_of_cohens_own_example(void **state)
{
    (void)state;
    const int64_t table[] = {88, 14, 18, 10, 40, 10, 2, 6, 12};
    assert_near(figure_kappa(table, 3), 0.492, 0.0005);
}

static void test_kappa_at_its_ends(void **state)
{
    (void)state;
    const int64_t same[] = {5, 0, 0, 7}, chance[] = {25, 25, 25, 25}, opposite[] = {0, 6, 6, 0}, one[] = {9, 0, 0, 0},
                  none[] = {0, 0, 0, 0};
    assert_near(figure_kappa(same, 2), 1, 1e-12);
    assert_near(figure_kappa(chance, 2), 0, 1e-12);
    assert_near(figure_kappa(opposite, 2), -1, 1e-12);
    assert_true(isnan(figure_kappa(one, 2)));
    assert_true(isnan(figure_kappa(none, 2)));
}

/* K. Krippendorff, Computing Krippendorff's alpha-reliability (2011), section A: two observers, binary, alpha .095. */
static void test_alpha_of_two_observers_is_that_of_krippendorffs_example(void **state)
{
    (void)state;
    const int8_t values[] = {0, 1, 1, 1, 0, 1, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0, 0, 0};
    assert_near(figure_alpha(values, 10, 2, 2, SCALE_NOMINAL), 0.095, 0.0005);
}

/* The same, section C: four observers, missing values: nominal .743, ordinal .815. */
static void test_alpha_with_gaps_is_that_of_krippendorffs_example(void **state)
{
    (void)state;
    static const char rows[4][13] = {"123321412...", "1233224125.3", ".3332342251.", "12332441251."};
    int8_t values[12 * 4];
    for (size_t unit = 0; unit < 12; unit++)
        for (size_t judge = 0; judge < 4; judge++) {
            char c = rows[judge][unit];
            values[unit * 4 + judge] = c == '.' ? -1 : (int8_t)(c - '1');
        }
    assert_near(figure_alpha(values, 12, 4, 5, SCALE_NOMINAL), 0.743, 0.0005);
    assert_near(figure_alpha(values, 12, 4, 5, SCALE_ORDINAL), 0.815, 0.0005);
}

static void test_alpha_of_nothing_to_compare_is_undefined(void **state)
{
    (void)state;
    const int8_t alone[] = {0, -1, 1, -1}, same[] = {1, 1, 1, 1};
    assert_true(isnan(figure_alpha(alone, 2, 2, 2, SCALE_NOMINAL)));
    assert_true(isnan(figure_alpha(same, 2, 2, 2, SCALE_NOMINAL)));
}

/* R. G. Newcombe, Two-sided confidence intervals for the single proportion (1998), table I, method 3. */
static void test_wilson_intervals_are_those_of_newcombes_table(void **state)
{
    (void)state;
    static const struct {
        int64_t r, n;
        double low, high;
    } rows[] = {{81, 263, 0.2553, 0.3662}, {15, 148, 0.0624, 0.1605}, {0, 20, 0, 0.1611}, {1, 29, 0.0061, 0.1718}};
    for (size_t i = 0; i < COUNT(rows); i++) {
        double low, high;
        assert_true(figure_wilson(rows[i].r, rows[i].n, &low, &high));
        assert_near(low, rows[i].low, 0.00005);
        assert_near(high, rows[i].high, 0.00005);
    }
}

static void test_wilson_of_all_ends_at_one_and_of_none_is_refused(void **state)
{
    (void)state;
    double low, high;
    assert_true(figure_wilson(20, 20, &low, &high));
    assert_near(low, 1 - 0.1611, 0.00005);
    assert_near(high, 1, 0);
    assert_false(figure_wilson(0, 0, &low, &high));
}

static void test_quantiles_are_values_that_occurred(void **state)
{
    (void)state;
    const int64_t ten[] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10};
    assert_int_equal(figure_quantile(ten, 10, 50), 5);
    assert_int_equal(figure_quantile(ten, 10, 90), 9);
    assert_int_equal(figure_quantile(ten, 1, 90), 1);
    assert_int_equal(figure_quantile(ten, 3, 50), 2);
    assert_int_equal(figure_quantile(ten, 0, 50), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_kappa_is_that_of_cohens_own_example),
        cmocka_unit_test(test_kappa_at_its_ends),
        cmocka_unit_test(test_alpha_of_two_observers_is_that_of_krippendorffs_example),
        cmocka_unit_test(test_alpha_with_gaps_is_that_of_krippendorffs_example),
        cmocka_unit_test(test_alpha_of_nothing_to_compare_is_undefined),
        cmocka_unit_test(test_wilson_intervals_are_those_of_newcombes_table),
        cmocka_unit_test(test_wilson_of_all_ends_at_one_and_of_none_is_refused),
        cmocka_unit_test(test_quantiles_are_values_that_occurred),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
