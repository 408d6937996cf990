/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef CAIRN_GATE_FIGURES_H
#define CAIRN_GATE_FIGURES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The statistics that show whether a gate is fair (access.md C9.7). What is not defined for the data is NAN. */

/*
 * Cohen's kappa of two judges: table[i * categories + j] counts the cases that one put into i and the other into j.
 * J. Cohen, A coefficient of agreement for nominal scales, Educ. Psychol. Meas. 20 (1960).
 */
double figure_kappa(const int64_t *table, size_t categories);

/*
 * Krippendorff's alpha of any number of judges, not all of whom judged each case. values[unit * judges + judge] is a
 * category from 0, or less than 0 where that judge said nothing. At most FIGURE_CATEGORIES categories.
 * K. Krippendorff, Computing Krippendorff's alpha-reliability (2011): coincidences, and its nominal and ordinal metric.
 */
#define FIGURE_CATEGORIES 8
enum scale { SCALE_NOMINAL, SCALE_ORDINAL };
double figure_alpha(const int8_t *values, size_t units, size_t judges, size_t categories, enum scale scale);

/* Wilson's score interval at 95 %. E. B. Wilson, J. Am. Stat. Assoc. 22 (1927). False for no cases. */
bool figure_wilson(int64_t successes, int64_t cases, double *low, double *high);

/* The nearest-rank quantile, percent from 1 to 100, of values that are sorted; 0 for none. */
int64_t figure_quantile(const int64_t *sorted, size_t count, int percent);

#endif
